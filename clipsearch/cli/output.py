"""Search results on stdout, as text or in machine-readable formats; docs/output.md describes them.

The formats are stable, except the table and the aligned text, which are for people.
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

from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.cli.result_format import ResultsFormat
    from clipsearch.library import Library
    from clipsearch.retrieval.results import SearchResult

NOTHING_FOUND = 3
"""Exit status of a search without results."""

_NO_RESULTS = "no results"


def write_results(
    results: Sequence[SearchResult],
    *,
    k: int | None,
    results_format: ResultsFormat,
    base: Path | None = None,
    title: str = "",
    no_results: str = _NO_RESULTS,
) -> None:
    """Write results to stdout and to the targets of the options, and notices to stderr.

    Args:
        results: best first.
        k: the requested number; ``None`` if none was requested.
        results_format: the format.
        base: the folder for relative paths in text; the current directory by default.
        title: the title of the contact sheet.
        no_results: the notice for an empty list.

    Raises:
        ClipSearchError: the contact sheet, a copy or a link failed, or no program can open the picture.
    """
    _write_on_stdout(results, results_format, base)
    if not results:
        click.echo(no_results, err=True)
    elif k is not None and len(results) < k:
        click.echo(f"only {format_count(len(results), 'result')}", err=True)
    if results_format.has_targets:
        from clipsearch.cli.result_targets import deliver

        sys.stdout.flush()
        deliver(results, results_format, title=title)


def suggest_tags(library: Library, query: str) -> None:
    """Write a notice for each tag of a query that no picture has, with the most similar tag."""
    for name, nearest in library.tags.unknown(query).items():
        hint = f"did you mean {nearest}?" if nearest else "see: clipsearch tag list"
        click.echo(display_text(f"no picture has the tag {name}; {hint}"), err=True)


def _write_on_stdout(results: Sequence[SearchResult], results_format: ResultsFormat, base: Path | None) -> None:
    from clipsearch.cli import result_text
    from clipsearch.retrieval.results import result_to_json

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
    """Write JSON in ASCII, other characters as ``\\uXXXX``, for any console encoding."""
    click.echo(json.dumps(value, indent=2))


def write_paths(paths: Sequence[Path], *, end: bytes) -> None:
    """Write the bytes of the paths, so that ``xargs`` gets exactly the file names."""
    click.echo(b"".join(os.fsencode(path) + end for path in paths), nl=False)


def _write_jsonl(results: Sequence[SearchResult]) -> None:
    """Write one JSON object per line, in ASCII."""
    from clipsearch.retrieval.results import result_to_json

    for result in results:
        click.echo(json.dumps(result_to_json(result)))


def _write_csv(results: Sequence[SearchResult]) -> None:
    r"""Write a header and one record per result, in UTF-8, with the line ends and quotes of RFC 4180.

    A byte of a path that is not UTF-8 becomes the six characters ``\udcXX``, as in JSON.
    """
    from clipsearch.retrieval.results import RESULT_FIELDS, result_to_json

    buffer = io.StringIO(newline="")
    table = csv.writer(buffer, lineterminator="\r\n")
    table.writerow(RESULT_FIELDS)
    for result in results:
        record = result_to_json(result)
        table.writerow([_cell(record[name]) for name in RESULT_FIELDS])
    # bytes, so that neither the console encoding nor Windows line ends change them
    click.echo(buffer.getvalue().encode("utf-8", "backslashreplace"), nl=False)


def _cell(value: object) -> str:
    """Empty for null and an empty list; booleans, lists and objects as in JSON."""
    if value is None or value == []:
        return ""
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)
