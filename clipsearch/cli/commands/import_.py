"""``clipsearch import``: add an export to the library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli.options import common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import format_count


@click.command("import")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@json_option()
@common_options
def import_(*, directory: Path, as_json: bool) -> None:
    """Import an exported directory.

    DIR was written by clipsearch export. No picture is read or embedded. A new library is made if there is none; an
    existing one must use the model of the export. Pictures that the library already has stay unchanged, and existing
    concepts get the missing examples. If roots are in other places on this computer, run: clipsearch roots move

    \b
    Examples:
      clipsearch import ~/clipsearch-backup
      clipsearch --library /media/photos/.clipsearch import photos-2026
    """
    with open_library(create=True) as library:
        report = library.maintenance.import_from(directory)
    if as_json:
        write_json(asdict(report))
        return
    known = f" ({report.known_files:,} more were in the library already)" if report.known_files else ""
    counts = [
        format_count(report.images, "picture"),
        format_count(report.embeddings, "embedding"),
        f"{format_count(report.files, 'file')}{known}",
    ]
    if report.concepts:
        counts.append(format_count(report.concepts, "concept"))
    click.echo(f"imported   {', '.join(counts)}")
