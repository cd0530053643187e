"""``clipsearch compact``: delete the data of removed pictures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import format_bytes, format_count

if TYPE_CHECKING:
    from clipsearch.maintenance.compact import CompactionReport


@click.command()
@json_option()
@common_options
def compact(*, as_json: bool) -> None:
    """Free the disk space of removed pictures.

    When a picture is deleted from disk or removed from the library, its embeddings, metadata and previews stay until
    this command deletes them, so that a restored file need not be embedded again. Pictures on offline roots are kept.
    The disk needs space for a second copy of the catalog meanwhile. It is safe to interrupt.

    \b
    Examples:
      clipsearch compact
      clipsearch --library /media/photos/.clipsearch compact --json
    """
    with open_library() as library:
        report = library.maintenance.compact()
    if as_json:
        write_json(asdict(report))
    else:
        click.echo(format_compaction(report))


def format_compaction(report: CompactionReport) -> str:
    """The report as text, two lines."""
    deleted = [
        format_count(report.images, "picture"),
        format_count(report.embeddings, "embedding"),
        format_count(report.previews, "preview"),
    ]
    sizes = f"{format_bytes(report.bytes_before)} before, {format_bytes(report.bytes_after)} now"
    return f"deleted    {', '.join(deleted)}\non disk    {sizes}"
