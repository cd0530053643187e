"""``clipsearch export``: paths, metadata, embeddings, tags and concepts in open formats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli.options import common_options, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import display_text, format_count


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["npz", "parquet"]),
    default="npz",
    show_default=True,
    help="images.jsonl with embeddings.npz, or images.parquet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
@common_options
def export(*, directory: Path, form: str, as_json: bool) -> None:
    """Write paths, metadata, embeddings, tags and concepts to a new directory.

    DIR then holds every picture of the library that a file holds, with its files, its metadata, its tags and the
    embedding of the library's model (float16), a concepts.json with what @NAME stands for, and a manifest.json with
    the indexed folders. It can be read with NumPy, pandas, DuckDB and the like, and taken into a library again with:
    clipsearch import

    \b
    Examples:
      clipsearch export ~/clipsearch-backup
      clipsearch export photos-2026 --format parquet
    """
    with open_library() as library:
        report = library.maintenance.export(directory, format=form)
    if as_json:
        write_json(asdict(report))
        return
    counts = [
        format_count(report.images, "picture"),
        format_count(report.embeddings, "embedding"),
        format_count(report.files, "file"),
    ]
    if report.concepts:
        counts.append(format_count(report.concepts, "concept"))
    click.echo(f"exported   {', '.join(counts)} to {display_text(str(directory))}")
