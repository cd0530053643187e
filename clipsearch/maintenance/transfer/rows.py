"""Contents as rows of plain values, which both formats write, and back, with everything checked."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from clipsearch.catalog.full_text import OcrLine
from clipsearch.catalog.path_text import path_to_text
from clipsearch.catalog.tables import HASH_LENGTH
from clipsearch.catalog.transfer import IMAGE_FIELDS, REQUIRED_FIELDS, ExchangedFile, ExchangedImage, FieldValue
from clipsearch.catalog.transfer_tags import ExchangedTag
from clipsearch.media.metadata.sidecars import beside_from_json
from clipsearch.media.metadata.sources import without_nonsense
from clipsearch.media.metadata.values import metadata_from_fields
from clipsearch.media.segments import Segment, SegmentKind, image_segments

_HASH = re.compile(f"[0-9a-f]{{{HASH_LENGTH}}}")
_LARGEST = 2**63
"""Integers of this size and above fit in no database column."""

_FILE_FIELDS = ("size", "mtime_ns", "sidecar_stamp", "sidecar")
_OTHERS = frozenset({"content_hash", "keywords", "files", "from_preview"})
_OPTIONAL = frozenset({"tags", "segments", "text"})
"""What older exports lack."""


def to_row(image: ExchangedImage, *, path: Callable[[str], str] = str) -> dict[str, Any]:
    """All of a content but the numbers of its embeddings.

    Args:
        image: the content.
        path: brings paths to the form that the format can hold.
    """
    return {
        "content_hash": image.content_hash,
        **{name: _plain(value) for name, value in image.fields.items()},
        "keywords": list(image.keywords),
        "files": [
            {"root": file.root, "path": path(file.path), **{name: getattr(file, name) for name in _FILE_FIELDS}}
            for file in image.files
        ],
        "from_preview": image.from_preview,
        "segments": [{"kind": str(segment.kind), "position": segment.position} for segment in image.segments],
        "tags": [{"tag": tag.tag, "score": tag.score, "present": tag.present} for tag in image.tags],
        "text": _text(image),
    }


def from_row(
    row: dict[str, Any], *, roots: int, vectors: tuple[bytes, ...], path: Callable[[str], str] = str
) -> ExchangedImage:
    """A content from such a row.

    Args:
        row: as `to_row` made it; values that are ``None`` may be missing.
        roots: how many roots there are.
        vectors: of its segments.
        path: brings paths back from the form that the format holds.

    Raises:
        ValueError: a value is missing, unknown, or makes no sense (`UnicodeEncodeError` is one, too).
    """
    unknown = row.keys() - IMAGE_FIELDS.keys() - _OTHERS - _OPTIONAL
    missing = [name for name in (*REQUIRED_FIELDS, *_OTHERS) if row.get(name) is None]
    if unknown or missing:
        raise ValueError(f"{sorted(unknown)[0]!r} is unknown" if unknown else f"{sorted(missing)[0]!r} is missing")
    fields: dict[str, FieldValue] = {
        name: _field(name, row[name]) for name in IMAGE_FIELDS if row.get(name) is not None
    }
    fields |= _plausible(fields)
    reader, lines = _lines(row.get("text"))
    return ExchangedImage(
        content_hash=content_hash(row["content_hash"]),
        fields=fields,
        keywords=tuple(typed("keywords", keyword, str) for keyword in typed("keywords", row["keywords"], list)),
        files=tuple(_file(file, roots, path) for file in typed("files", row["files"], list)),
        segments=_segments(row.get("segments"), len(vectors)),
        vectors=vectors,
        from_preview=typed("from_preview", row["from_preview"], bool),
        tags=_tags(row.get("tags")),
        text_reader=reader,
        lines=lines,
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
    field_type = IMAGE_FIELDS[name]
    if field_type is bytes and isinstance(value, str):
        value = base64.b64decode(value, validate=True)
    if field_type is datetime and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if field_type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    checked: int | float | str | bytes | datetime = typed(name, value, field_type)
    if isinstance(checked, datetime) and checked.tzinfo is not None:
        raise ValueError(f"{name!r} has a time zone")
    return checked


def _plausible(fields: Mapping[str, Any]) -> dict[str, FieldValue]:
    """The metadata among the fields, without what makes no sense: an export may be older than the rule against it."""
    if "embedded" in fields:
        metadata_from_fields(typed("embedded", json.loads(fields["embedded"]), dict))
    known = metadata_from_fields(fields)
    checked = without_nonsense(known)
    return {name: getattr(checked, name) for name in vars(checked) if name != "keywords" and name in fields}


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
    stamp, said = (
        typed(name, values[name], str) if values.get(name) is not None else None
        for name in ("sidecar_stamp", "sidecar")
    )
    if said is not None:
        beside_from_json(said)
    return ExchangedFile(root, relative, size, mtime_ns, stamp, said)


def _segments(segments: Any, count: int) -> tuple[Segment, ...]:
    """The whole and its parts; an older export has the tiles of long pictures and does not say so."""
    if segments is None:
        return image_segments(count)
    checked = []
    for segment in typed("segments", segments, list):
        values = typed("segments", segment, dict)
        position = typed("position", values.get("position"), int)
        checked.append(Segment(SegmentKind(values.get("kind")), position))
    if len(checked) != count or len(set(checked)) != count or any(segment.position < 0 for segment in checked):
        raise ValueError("its segments are not those of its embeddings")
    if [segment.is_whole for segment in checked] != [True, *[False] * (count - 1)][:count]:
        raise ValueError("its first segment is not the whole")
    return tuple(checked)


def _tags(tags: Any) -> tuple[ExchangedTag, ...]:
    """One of each from a person and from the model at most: no catalog holds more."""
    by_name: dict[tuple[str, bool], ExchangedTag] = {}
    for tag in typed("tags", tags if tags is not None else [], list):
        values = typed("tags", tag, dict)
        name, present = typed("tags", values.get("tag"), str), typed("tags", values.get("present"), bool)
        score = values.get("score")
        if score is not None and not 0.0 <= (score := float(typed("tags", score, float))) <= 1.0:
            raise ValueError("the score of a tag is not a probability")
        if not name or (name, score is None) in by_name or not (present or score is None):
            raise ValueError("a tag is not as it should be")
        by_name[name, score is None] = ExchangedTag(name, score, present)
    return tuple(by_name.values())


def _text(image: ExchangedImage) -> str | None:
    """The text in a picture as JSON; ``None`` if it was not looked for."""
    if image.text_reader is None:
        return None
    lines = [{**line._asdict(), "segment": [line.segment.kind, line.segment.position]} for line in image.lines]
    return json.dumps({"reader": image.text_reader, "lines": lines}, ensure_ascii=False)


def _lines(text: Any) -> tuple[str | None, tuple[OcrLine, ...]]:
    """The reader and the lines from such JSON."""
    if text is None:
        return None, ()
    values = typed("text", json.loads(typed("text", text, str)), dict)
    lines: list[OcrLine] = []
    for line in typed("text", values.get("lines"), list):
        kind, position = typed("text", line["segment"], list)
        box = tuple(typed("text", side, int) for side in typed("text", line["box"], list))
        confidence = typed("text", line["confidence"], float)
        if len(box) != 4 or not 0.0 <= confidence <= 1.0 or typed("text", position, int) < 0:
            raise ValueError("a line of text is not as it should be")
        words, script = (typed("text", line[name], str) for name in ("text", "script"))
        segment = Segment(SegmentKind(kind), position)
        lines.append(OcrLine(segment, words, confidence, script, (box[0], box[1], box[2], box[3])))
    return typed("text", values.get("reader"), str), tuple(lines)


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
