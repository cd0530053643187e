"""What commands write on stdout: search results and the summary of an indexing run.

Every form is stable except the table and the aligned text, which are for people.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.display import display_path, display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.library import IndexReport, SearchResult


@dataclass(frozen=True)
class ResultsFormat:
    """How results are written; none of them set means for people.

    Attributes:
        as_json: a JSON list.
        as_paths: one path per line, raw bytes.
        null: one path per NUL byte, raw bytes; implies `as_paths`.
    """

    as_json: bool = False
    as_paths: bool = False
    null: bool = False

    def __post_init__(self) -> None:
        if self.as_json and (self.as_paths or self.null):
            raise click.UsageError("--json does not go with --paths or -0", click.get_current_context(silent=True))


def write_results(
    results: Sequence[SearchResult], *, wanted: int | None, form: ResultsFormat, base: Path | None = None
) -> None:
    """Write results on stdout, and a line on stderr when there are fewer than wanted.

    Args:
        results: best first.
        wanted: the k that was asked for; ``None`` if none was.
        form: how.
        base: what paths for people are shown relative to; the current directory by default.
    """
    if form.as_json:
        write_json([result_to_json(result) for result in results])
    elif form.as_paths or form.null:
        write_paths([result.path for result in results], end=b"\0" if form.null else b"\n")
    elif results and sys.stdout.isatty():
        _write_table(results, base)
    else:
        _write_aligned(results, base)
    _note_shortfall(len(results), wanted)


def result_to_json(result: SearchResult) -> dict[str, Any]:
    """One element of the list that ``--json`` prints.

    ``score`` is the cosine similarity; ``width`` and ``height`` are in pixels, after EXIF orientation. A byte
    of the path that is not UTF-8 is a lone surrogate, U+DC80 to U+DCFF, as in `os.fsdecode`.
    """
    return {
        "rank": result.rank,
        "score": round(float(result.score), 6),
        "path": str(result.path),
        "width": result.width,
        "height": result.height,
        "format": result.format,
    }


def write_json(value: Any) -> None:
    """Write JSON that any console encoding can carry (ASCII, other characters as ``\\uXXXX``)."""
    click.echo(json.dumps(value, indent=2))


def write_paths(paths: Sequence[Path], *, end: bytes) -> None:
    """Write the paths' own bytes, so that ``xargs`` gets exactly the names on the disk."""
    click.echo(b"".join(os.fsencode(path) + end for path in paths), nl=False)


def format_report(report: IndexReport) -> str:
    """The summary of an indexing run, several lines for people."""
    indexed = report.embedded + report.reused
    speed = f", {report.embedded / report.seconds:.1f} images/s" if report.embedded and report.seconds > 0 else ""
    reused = f" ({report.reused:,} of them moved, copied or restored: no inference needed)" if report.reused else ""
    lines = [
        f"indexed    {format_count(indexed, 'picture')} in {format_seconds(report.seconds)}{speed}{reused}",
        f"unchanged  {report.unchanged:,}",
        f"removed    {report.removed:,}",
        f"skipped    {len(report.failures):,}",
    ]
    reasons = Counter(display_text(failure.reason) for failure in report.failures)
    width = len(f"{max(reasons.values(), default=0):,}")
    lines += [f"  {count:>{width},} × {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)


def report_to_json(report: IndexReport) -> dict[str, Any]:
    """What ``clipsearch index --json`` prints."""
    return {
        "indexed": report.embedded + report.reused,
        "embedded": report.embedded,
        "reused": report.reused,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": [{"path": str(failure.path), "reason": failure.reason} for failure in report.failures],
        "seconds": round(report.seconds, 3),
    }


def _write_table(results: Sequence[SearchResult], base: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("Score", justify="right")
    table.add_column("Size", justify="right", style="dim", no_wrap=True)
    table.add_column("Picture", overflow="fold")  # last, so that a right-to-left name disturbs no other column
    for result in results:
        link = Style(link=result.path.as_uri()) if result.path.is_absolute() else Style()
        path = Text(display_path(result.path, base=base), style=link)
        table.add_row(str(result.rank), f"{result.score:.3f}", _size(result), path)
    Console(highlight=False, markup=False, emoji=False).print(table)


def _write_aligned(results: Sequence[SearchResult], base: Path | None) -> None:
    rank_width = max((len(str(result.rank)) for result in results), default=0)
    size_width = max((len(_size(result)) for result in results), default=0)
    for result in results:
        path = display_path(result.path, base=base)
        click.echo(f"{result.rank:>{rank_width}}  {result.score:6.3f}  {_size(result):>{size_width}}  {path}")


def _note_shortfall(found: int, wanted: int | None) -> None:
    if not found:
        click.echo(
            "nothing found: the library holds no other pictures; add some with: clipsearch index FOLDER", err=True
        )
    elif wanted is not None and found < wanted:
        click.echo(f"{format_count(found, 'result')}, not {wanted:,}: the library holds no others", err=True)


def _size(result: SearchResult) -> str:
    return f"{result.width}×{result.height}"
