"""``clipsearch remove``: remove files or folders from the library."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import format_count


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option("Print a JSON object: removed (the number of files).")
@common_options
def remove(*, paths: tuple[Path, ...], as_json: bool) -> None:
    """Remove files or folders from the library, not from disk.

    The files may be deleted already, or on an offline root. Files that are still on disk return when their root is
    next indexed, without being embedded again. To remove a root permanently: clipsearch roots remove. To free the disk
    space as well: clipsearch compact.

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
