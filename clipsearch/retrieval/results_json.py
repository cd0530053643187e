"""A search result as JSON; docs/output.md says what is promised of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsearch.media.box import Box
    from clipsearch.retrieval.results import SearchResult

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
