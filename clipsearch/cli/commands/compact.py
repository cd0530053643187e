"""``clipsearch compact``: drop what no file holds any more."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import format_bytes, format_count

if TYPE_CHECKING:
    from clipsearch.maintenance.compact import CompactionReport


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
@common_options
def compact(*, as_json: bool) -> None:
    """Drop what belongs to deleted pictures.

    That makes the library smaller. The embeddings, metadata and previews of pictures that no file holds any more
    are kept until then, so that a restored file costs no time. Pictures on an unplugged drive count as held.
    While it runs, the disk needs room for a second copy of the catalog. It can be broken off at any time.

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
    """What a compaction did, two lines for people."""
    dropped = [
        format_count(report.images, "picture"),
        format_count(report.embeddings, "embedding"),
        format_count(report.previews, "preview"),
    ]
    sizes = f"{format_bytes(report.bytes_before)}, now {format_bytes(report.bytes_after)}"
    return f"dropped    {', '.join(dropped)}\non disk    {sizes}"
