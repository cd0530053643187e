"""Contents as rows of plain values, which both formats write, and back, with everything checked."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from clipsearch.catalog.path_text import path_to_text
from clipsearch.catalog.tables import HASH_LENGTH
from clipsearch.catalog.transfer import IMAGE_FIELDS, REQUIRED_FIELDS, ExchangedFile, ExchangedImage, FieldValue
from clipsearch.catalog.transfer_tags import ExchangedTag

_HASH = re.compile(f"[0-9a-f]{{{HASH_LENGTH}}}")
_LARGEST = 2**63
"""Integers of this size and above fit in no database column."""

_OTHERS = frozenset({"content_hash", "keywords", "files", "from_preview"})
_OPTIONAL = frozenset({"tags"})
"""What exports of before it was kept lack."""


def to_row(image: ExchangedImage, *, path: Callable[[str], str] = str) -> dict[str, Any]:
    """All of a content but its embeddings.

    Args:
        image: the content.
        path: brings paths to the form that the format can hold.
    """
    return {
        "content_hash": image.content_hash,
        **{name: _plain(value) for name, value in image.fields.items()},
        "keywords": list(image.keywords),
        "files": [
            {"root": file.root, "path": path(file.path), "size": file.size, "mtime_ns": file.mtime_ns}
            for file in image.files
        ],
        "from_preview": image.from_preview,
        "tags": [{"tag": tag.tag, "score": tag.score, "present": tag.present} for tag in image.tags],
    }


def from_row(
    row: dict[str, Any], *, roots: int, vectors: tuple[bytes, ...], path: Callable[[str], str] = str
) -> ExchangedImage:
    """A content from such a row.

    Args:
        row: as `to_row` made it; values that are ``None`` may be missing.
        roots: how many roots there are.
        vectors: its embeddings, the whole's first.
        path: brings paths back from the form that the format holds.

    Raises:
        ValueError: a value is missing, unknown, or makes no sense (`UnicodeEncodeError` is one, too).
    """
    unknown = row.keys() - IMAGE_FIELDS.keys() - _OTHERS - _OPTIONAL
    missing = [name for name in (*REQUIRED_FIELDS, *_OTHERS) if row.get(name) is None]
    if unknown or missing:
        raise ValueError(f"{sorted(unknown)[0]!r} is unknown" if unknown else f"{sorted(missing)[0]!r} is missing")
    fields = {name: _field(name, row[name]) for name in IMAGE_FIELDS if row.get(name) is not None}
    return ExchangedImage(
        content_hash=content_hash(row["content_hash"]),
        fields=fields,
        keywords=tuple(typed("keywords", keyword, str) for keyword in typed("keywords", row["keywords"], list)),
        files=tuple(_file(file, roots, path) for file in typed("files", row["files"], list)),
        vectors=vectors,
        from_preview=typed("from_preview", row["from_preview"], bool),
        tags=_tags(row.get("tags")),
    )


def content_hash(value: Any) -> str:
    """A content hash.

    Raises:
        ValueError: it is none.
    """
    if not _HASH.fullmatch(typed("content_hash", value, str)):
        raise ValueError("a content hash is malformed")
    return str(value)


def _plain(value: FieldValue) -> int | float | str | datetime | None:
    """A value as both formats hold it: bytes as Base64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _field(name: str, value: Any) -> int | float | str | bytes | datetime:
    wanted = IMAGE_FIELDS[name]
    if wanted is bytes and isinstance(value, str):
        value = base64.b64decode(value, validate=True)
    if wanted is datetime and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    found: int | float | str | bytes | datetime = typed(name, value, wanted)
    if isinstance(found, datetime) and found.tzinfo is not None:
        raise ValueError(f"{name!r} has a time zone")
    return found


def _file(file: Any, roots: int, path: Callable[[str], str]) -> ExchangedFile:
    values = typed("files", file, dict)
    root, size, mtime_ns = (typed(name, values.get(name), int) for name in ("root", "size", "mtime_ns"))
    relative = path(typed("path", values.get("path"), str))
    parts = relative.split("/")
    if not 0 <= root < roots or size < 0:
        raise ValueError("a file is in no folder of the export")
    if any(part in ("", ".", "..") for part in parts) or "\0" in relative:
        raise ValueError("a file's path leads out of its folder")
    path_to_text(relative).encode()  # some surrogates stand for no byte
    return ExchangedFile(root, relative, size, mtime_ns)


def _tags(tags: Any) -> tuple[ExchangedTag, ...]:
    """One of each from a person and from the model at most: no catalog holds more."""
    found: dict[tuple[str, bool], ExchangedTag] = {}
    for tag in typed("tags", tags if tags is not None else [], list):
        values = typed("tags", tag, dict)
        name, present = typed("tags", values.get("tag"), str), typed("tags", values.get("present"), bool)
        score = values.get("score")
        if score is not None and not 0.0 <= (score := float(typed("tags", score, float))) <= 1.0:
            raise ValueError("the score of a tag is no probability")
        if not name or (name, score is None) in found or not (present or score is None):
            raise ValueError("a tag is not as it should be")
        found[name, score is None] = ExchangedTag(name, score, present)
    return tuple(found.values())


def typed(name: str, value: Any, wanted: type) -> Any:
    """A value, if it is of the type that is wanted and a database takes it.

    Raises:
        ValueError: it is not.
    """
    right = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    if not right or (wanted is int and not -_LARGEST <= value < _LARGEST):
        raise ValueError(f"{name!r} is not as it should be")
    if wanted is str and name != "path":
        value.encode()  # no database takes lone surrogates, and no export writes them
    return value
