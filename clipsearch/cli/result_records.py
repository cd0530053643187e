"""A search result as data for scripts: JSON, JSON Lines and CSV; docs/output.md says what is promised of each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from clipsearch.boxes import Box
    from clipsearch.library import SearchResult

FIELDS = (
    "rank",
    "score",
    "path",
    "width",
    "height",
    "format",
    "taken_at",
    "online",
    "content_hash",
    "thumbnail",
    "copies",
    "match",
    "probability",
    "near_duplicates",
    "part",
)
"""The fields of a result in the order of the columns of ``--csv``; new ones come at the end."""


def result_to_json(result: SearchResult) -> dict[str, Any]:
    """One element of the list that ``--json`` prints, and one line of ``--jsonl``.

    ``score`` is the cosine similarity, null where the query has filters only; ``width`` and ``height`` are in
    pixels, after EXIF orientation. A byte of the path that is not UTF-8 is a lone surrogate, U+DC80 to U+DCFF, as
    in `os.fsdecode`.
    """
    return {
        "rank": result.rank,
        "score": None if result.score is None else round(float(result.score), 6),
        "path": str(result.path),
        "width": result.width,
        "height": result.height,
        "format": result.format,
        "taken_at": result.taken_at.isoformat() if result.taken_at else None,
        "online": result.online,
        "content_hash": result.content_hash,
        "thumbnail": str(result.thumbnail) if result.thumbnail else None,
        "copies": [str(path) for path in result.copies],
        "match": result.match,
        "probability": None if result.probability is None else round(result.probability, 4),
        "near_duplicates": [str(path) for path in result.near_duplicates],
        "part": _whole_pixels(result.part) if result.part is not None else None,
    }


def _whole_pixels(box: Box) -> list[int]:
    return [round(value) for value in (box.x, box.y, box.width, box.height)]


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
