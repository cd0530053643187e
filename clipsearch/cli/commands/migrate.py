"""``clipsearch migrate``: change the model of a library."""

from __future__ import annotations

from dataclasses import asdict

import click

from clipsearch.cli.arguments import suggest_presets
from clipsearch.cli.options import common_options, encoder_options, open_library, wait_option
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import progress_reporter
from clipsearch.text import format_count, format_seconds


@click.command()
@click.option(
    "--model",
    metavar="SPEC",
    required=True,
    shell_complete=suggest_presets,
    help="The new model; see: clipsearch models.",
)
@encoder_options
@click.option("--drop-old", is_flag=True, help="Drop the embeddings of every other model afterwards.")
@click.option("--partial", is_flag=True, help="Switch even if some pictures could not be embedded.")
@wait_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
@common_options
@click.pass_context
def migrate(
    context: click.Context,
    *,
    model: str,
    runtime: str,
    device: str,
    drop_old: bool,
    partial: bool,
    wait_s: float,
    as_json: bool,
) -> None:
    """Embed every picture with another model, then make searches use it.

    Until then searches go on with the old model. An interrupted migration carries on where it stopped. Pictures
    whose drive is not there are embedded from their previews, at lower fidelity, and again when their folder is
    next indexed. Concepts and tags are made for the new model as well. The old embeddings are kept, so that going
    back is quick, unless --drop-old says otherwise.

    \b
    Examples:
      clipsearch migrate --model base
      clipsearch migrate --model ViT-L-14/openai --drop-old
    """
    with (
        progress_reporter() as reporter,
        open_library(runtime=runtime, device=device, notify=reporter.notify) as library,
    ):
        report = library.migrate(model, drop_old=drop_old, partial=partial, wait_s=wait_s, progress=reporter.update)
    if as_json:
        write_json(asdict(report))
    else:
        click.echo(f"embedded   {format_count(report.embedded, 'picture')} in {format_seconds(report.seconds)}")
        if report.from_preview:
            click.echo(f"previews   {report.from_preview:,} (their drives are not there)")
        if report.concepts:
            click.echo(f"concepts   {report.concepts:,} fitted for the new model")
        click.echo(f"searches   use {'the new' if report.switched else 'still the old'} model")
    if not report.switched:
        click.echo(
            f"{format_count(report.missing, 'picture')} could not be embedded: plug their drives in and run it again, "
            "or switch without them with --partial",
            err=True,
        )
        context.exit(1)
