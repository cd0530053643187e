"""``clipsearch text``: read the text in pictures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, encoder_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import progress_reporter
from clipsearch.text import format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.catalog.reports import TextReport


@click.command()
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read at most this many pictures.")
@encoder_options
@json_option()
@common_options
def text(*, limit: int | None, runtime: str, device: str, as_json: bool) -> None:
    """Read the text in pictures, so that searches find it.

    Receipts, signs, screenshots and documents are probably read first, the newest first; everything else follows. An
    interrupted run continues where it stopped, and indexing may run beside it. Needs the extra ocr (docs/text.md).

    \b
    Examples:
      clipsearch text
      clipsearch text --limit 1000
    """
    with (
        progress_reporter("Reading text") as reporter,
        open_library(runtime=runtime, device=device, notify=reporter.notify) as library,
    ):
        report = library.texts.read(limit=limit, progress=reporter.update)
    write_json(asdict(report)) if as_json else click.echo(format_text_report(report))


def format_text_report(report: TextReport) -> str:
    """The summary of a run, on one line."""
    parts = [f"{format_count(report.read, 'picture')} read", f"{report.with_text:,} with text"]
    parts += [f"{report.failed:,} failed"] if report.failed else []
    parts += [f"{report.left:,} left"] if report.left else []
    return f"{', '.join(parts)}, in {format_seconds(report.seconds)}"
