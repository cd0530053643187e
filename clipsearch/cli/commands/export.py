"""``clipsearch export``: the library in open formats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli.options import Choice, common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import display_text, format_count


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=Choice(["npz", "parquet"]),
    default="npz",
    show_default=True,
    help="Write images.jsonl and embeddings.npz, or images.parquet.",
)
@json_option()
@common_options
def export(*, directory: Path, file_format: str, as_json: bool) -> None:
    """Export paths, metadata, embeddings, tags and concepts.

    DIR, a new directory, gets every picture of the library with its files, metadata, tags and embedding (float16) by
    the library's model, the concepts in concepts.json, and the roots in manifest.json. NumPy, pandas and DuckDB can
    read it; clipsearch import adds it to a library.

    \b
    Examples:
      clipsearch export ~/clipsearch-backup
      clipsearch export photos-2026 --format parquet
    """
    with open_library() as library:
        report = library.maintenance.export(directory, format=file_format)
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
