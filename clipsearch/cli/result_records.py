"""Search results as data for scripts: JSON Lines and CSV; docs/output.md says what is promised of each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clipsearch.retrieval.results_json import FIELDS, result_to_json

if TYPE_CHECKING:
    from clipsearch.library import SearchResult


def write_jsonl(results: Sequence[SearchResult]) -> None:
    """Write one JSON object on each line, ASCII."""
    for result in results:
        click.echo(json.dumps(result_to_json(result)))


def write_csv(results: Sequence[SearchResult]) -> None:
    r"""Write a header and one record for each result, UTF-8, with the line ends and quotes of RFC 4180.

    A byte of a path that is not UTF-8 is written as JSON writes it: as the six characters ``\udcXX``.
    """
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
