"""``clipsearch migrate``: switch a library to another model."""

from __future__ import annotations

from dataclasses import asdict

import click

from clipsearch.cli.arguments import suggest_presets
from clipsearch.cli.options import common_options, encoder_options, json_option, open_library, wait_option
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
@click.option("--drop-old", is_flag=True, help="Delete the embeddings of all other models afterwards.")
@click.option("--partial", is_flag=True, help="Switch even if pictures could not be embedded.")
@wait_option
@json_option()
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
    """Switch the library to another model.

    Embeds every picture, concept and tag with the new model; searches use the old one until all are done. An
    interrupted migration continues where it stopped. Pictures on offline roots are embedded from their previews, at
    lower fidelity, and again when the root is next indexed. The old embeddings are kept for a quick way back, unless
    --drop-old is set.

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
            click.echo(f"previews   {report.from_preview:,} (on offline roots)")
        if report.concepts:
            click.echo(f"concepts   {report.concepts:,} refitted")
        click.echo(f"searches   use the {'new' if report.switched else 'old'} model")
    if not report.switched:
        click.echo(
            f"{format_count(report.missing, 'picture')} could not be embedded: connect their drives and run the "
            "command again, or switch without them with --partial",
            err=True,
        )
        context.exit(1)
