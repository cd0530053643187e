"""``clipsearch remove``: forget files or folders."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import common_options, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import format_count


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: removed (how many files).")
@common_options
def remove(*, paths: tuple[Path, ...], as_json: bool) -> None:
    """Forget files or folders, which stay on the disk.

    They are looked up in the library, so that they may be deleted or on a drive that is unplugged. What is
    still on the disk comes back, at no cost, when its folder is next indexed. To forget an indexed folder for
    good: clipsearch roots remove. To have the room back as well: clipsearch compact.

    \b
    Examples:
      clipsearch remove ~/Pictures/receipt.jpg
      clipsearch remove ~/Pictures/screenshots /media/usb/2019
    """
    with open_library() as library:
        count = library.maintenance.forget(*paths)
    if as_json:
        write_json({"removed": count})
    else:
        click.echo(f"removed    {format_count(count, 'file')} from the library")
