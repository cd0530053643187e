"""``clipsearch import``: take an export into the library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli.options import common_options, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import format_count


@click.command("import")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
@common_options
def import_(*, directory: Path, as_json: bool) -> None:
    """Take an exported directory into the library.

    DIR is what clipsearch export wrote. No picture is read and nothing is embedded. The library is made if there
    is none; one that has a model must have the export's. What it knows already stays as it is; a concept that it
    knows gets the examples that it lacks. Where folders are elsewhere on this computer, say so afterwards with:
    clipsearch roots move

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
    known = f" ({report.known_files:,} more were known already)" if report.known_files else ""
    counts = [
        format_count(report.images, "picture"),
        format_count(report.embeddings, "embedding"),
        f"{format_count(report.files, 'file')}{known}",
    ]
    if report.concepts:
        counts.append(format_count(report.concepts, "concept"))
    click.echo(f"imported   {', '.join(counts)}")
