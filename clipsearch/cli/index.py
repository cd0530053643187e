"""``clipsearch index``: add folders of pictures to the library, or update them."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import Settings, common_options, encoder_options
from clipsearch.cli.output import format_report, report_to_json, write_json
from clipsearch.cli.progress import progress_reporter


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="SPEC",
    help="The model of a new library: auto (the default), a preset such as mini or base (see: clipsearch models), "
    "an open_clip architecture/pretrained pair, hf-hub:NAME or local-dir:PATH. A library keeps its model.",
)
@encoder_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
@common_options
@click.pass_obj
def index(
    settings: Settings, *, folders: tuple[Path, ...], model: str | None, runtime: str, device: str, as_json: bool
) -> None:
    """Add folders of pictures to the library, or update them.

    Only new and changed pictures are embedded; pictures that are gone are removed. An interrupted run carries
    on where it stopped. A file that cannot be read is skipped with its reason (see: clipsearch status
    --failures).

    \b
    Examples:
      clipsearch index ~/Pictures
      clipsearch index ~/Pictures /media/photos --model base
      clipsearch --library /media/photos/.clipsearch index /media/photos
    """
    from clipsearch.library import Library

    with (
        progress_reporter() as reporter,
        Library.open(
            settings.library, model=model, runtime=runtime, device=device, create=True, notify=reporter.notify
        ) as library,
    ):
        report = library.index(*folders, progress=reporter.update)
    if as_json:
        write_json(report_to_json(report))
    else:
        click.echo(format_report(report))
