"""What commands write on stdout: search results, for people or for scripts; docs/output.md describes all of it.

Every form is stable except the table and the aligned text, which are for people.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.text import format_count

if TYPE_CHECKING:
    from clipsearch.cli.result_format import ResultsFormat
    from clipsearch.library import SearchResult

NOTHING_FOUND = 3
"""Exit status of a search without results."""

_NOTHING = "nothing found: no picture of the library passes"


def write_results(
    results: Sequence[SearchResult],
    *,
    k: int | None,
    results_format: ResultsFormat,
    base: Path | None = None,
    title: str = "",
    nothing: str = _NOTHING,
) -> None:
    """Write results on stdout and wherever else they are wanted, and on stderr what a person should know.

    Args:
        results: best first.
        k: how many were asked for; ``None`` if no number was.
        results_format: the format.
        base: what paths for people are shown relative to; the current directory by default.
        title: what was looked for, for the contact sheet.
        nothing: the line for when there are no results.

    Raises:
        ClipSearchError: the contact sheet, a copy or a link could not be made, or nothing can open the picture.
    """
    _write_on_stdout(results, results_format, base)
    if not results:
        click.echo(nothing, err=True)
    elif k is not None and len(results) < k:
        click.echo(f"{format_count(len(results), 'result')}, not {k:,}: no other picture passes", err=True)
    if results_format.html or results_format.open_best or results_format.copy_to or results_format.link_to:
        from clipsearch.cli.result_targets import deliver

        sys.stdout.flush()
        deliver(results, results_format, title=title)


def _write_on_stdout(results: Sequence[SearchResult], results_format: ResultsFormat, base: Path | None) -> None:
    from clipsearch.cli import result_text
    from clipsearch.retrieval.results_json import result_to_json

    if results_format.as_json:
        write_json([result_to_json(result) for result in results])
    elif results_format.as_jsonl:
        _write_jsonl(results)
    elif results_format.as_csv:
        _write_csv(results)
    elif results_format.as_paths or results_format.null:
        write_paths([result.path for result in results], end=b"\0" if results_format.null else b"\n")
    elif results and sys.stdout.isatty():
        result_text.write_for_terminal(results, base=base, preview=results_format.preview)
    else:
        result_text.write_aligned(results, base=base)


def write_json(value: Any) -> None:
    """Write JSON that any console encoding can carry (ASCII, other characters as ``\\uXXXX``)."""
    click.echo(json.dumps(value, indent=2))


def write_paths(paths: Sequence[Path], *, end: bytes) -> None:
    """Write the paths' own bytes, so that ``xargs`` gets exactly the names on the disk."""
    click.echo(b"".join(os.fsencode(path) + end for path in paths), nl=False)


def _write_jsonl(results: Sequence[SearchResult]) -> None:
    """Write one JSON object on each line, ASCII."""
    from clipsearch.retrieval.results_json import result_to_json

    for result in results:
        click.echo(json.dumps(result_to_json(result)))


def _write_csv(results: Sequence[SearchResult]) -> None:
    r"""Write a header and one record for each result, UTF-8, with the line ends and quotes of RFC 4180.

    A byte of a path that is not UTF-8 is written as JSON writes it: as the six characters ``\udcXX``.
    """
    from clipsearch.retrieval.results_json import FIELDS, result_to_json

    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\r\n")
    table.writerow(FIELDS)
    for result in results:
        record = result_to_json(result)
        table.writerow([_cell(record[name]) for name in FIELDS])
    # bytes, so that neither the console's encoding nor Windows' line ends change anything
    click.echo(written.getvalue().encode("utf-8", "backslashreplace"), nl=False)


def _cell(value: object) -> str:
    """Nothing for null and for an empty list; true, false and lists as in JSON."""
    if value is None or value == []:
        return ""
    return json.dumps(value) if isinstance(value, bool | list) else str(value)
