"""Making what files beside pictures say, and file names, part of what the catalog knows of the pictures.

A content's columns are what is known of it in all. Where files beside it say something, what the picture itself has is
kept in `Content.embedded`, so that a sidecar that changes or goes costs no look at the picture.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.tables import Content, ContentKeyword, File, Root
from clipsearch.media.metadata.names import date_in_name
from clipsearch.media.metadata.sidecars import Beside, beside_from_json
from clipsearch.media.metadata.sources import merged
from clipsearch.media.metadata.values import ImageMetadata, Source, metadata_from_fields, plain_fields


def merge_beside(connection: Connection, content_hashes: Collection[str]) -> None:
    """Bring contents up to date with the files that hold them, and with what is beside these."""
    for chunk in chunks(sorted(content_hashes)):
        statement = select(File.content_hash, File.relative_path, File.sidecar).join(Root, Root.id == File.root_id)
        rows = connection.execute(statement.where(File.content_hash.in_(chunk)).order_by(Root.path, File.relative_path))
        files: dict[str, _Files] = {}
        for content_hash, path, said in rows:
            of_content = files.setdefault(content_hash, _Files())
            of_content.names.append(path)
            if said is not None:
                of_content.said.append(_read(said))
        contents = select(*Content.__table__.columns).where(Content.content_hash.in_(files))
        stored = connection.execute(contents).mappings().all()
        _merge(connection, [row for row in stored if _is_concerned(row, files[row["content_hash"]])], files)


@dataclass
class _Files:
    """The files of a content: their relative paths and sidecars."""

    names: list[str] = field(default_factory=list)
    said: list[Beside] = field(default_factory=list)


def _is_concerned(row: RowMapping, files: _Files) -> bool:
    """Whether anything but the picture itself may say something of it, or did; as a rule it does not."""
    if row["embedded"] is not None or files.said:
        return True
    if row["taken_at"] is not None:
        return bool(row["taken_source"] == Source.NAME)
    return any(date_in_name(name) is not None for name in files.names)


def _merge(connection: Connection, rows: Sequence[RowMapping], files: Mapping[str, _Files]) -> None:
    keywords: dict[str, list[str]] = {row["content_hash"]: [] for row in rows}
    words = select(ContentKeyword.content_hash, ContentKeyword.keyword).order_by(ContentKeyword.position)
    for content_hash, keyword in connection.execute(words.where(ContentKeyword.content_hash.in_(keywords))):
        keywords[content_hash].append(keyword)
    updates: list[dict[str, Any]] = []
    new_keywords: dict[str, tuple[str, ...]] = {}
    for row in rows:
        content_hash = row["content_hash"]
        of_content, known = files[content_hash], metadata_from_fields({**row, "keywords": keywords[content_hash]})
        embedded = _embedded(row, known)
        new = merged(
            embedded,
            sidecars=[each.sidecar for each in of_content.said],
            takeouts=[each.takeout for each in of_content.said],
            names=of_content.names,
        )
        kept = json.dumps(plain_fields(embedded), ensure_ascii=False) if of_content.said else None
        if new != known or kept != row["embedded"]:
            values = {name: value for name, value in vars(new).items() if name != "keywords"}
            updates.append({**values, "embedded": kept, "of_content": content_hash})
        if new.keywords != known.keywords:
            new_keywords[content_hash] = new.keywords
    if updates:
        columns: dict[str, Any] = {name: bindparam(name) for name in updates[0] if name != "of_content"}
        statement = update(Content).where(Content.content_hash == bindparam("of_content")).values(**columns)
        connection.execute(statement, updates)
    _replace_keywords(connection, new_keywords)


def _replace_keywords(connection: Connection, keywords: Mapping[str, Sequence[str]]) -> None:
    if not keywords:
        return
    connection.execute(delete(ContentKeyword).where(ContentKeyword.content_hash.in_(keywords)))
    fresh = [
        {"content_hash": content_hash, "position": position, "keyword": keyword}
        for content_hash, words in keywords.items()
        for position, keyword in enumerate(words)
    ]
    if fresh:
        connection.execute(insert(ContentKeyword), fresh)


def _embedded(row: RowMapping, known: ImageMetadata) -> ImageMetadata:
    """What the picture itself has."""
    if row["embedded"] is not None:
        return metadata_from_fields(json.loads(row["embedded"]))
    if known.taken_source == Source.NAME:
        return replace(known, taken_at=None, taken_offset_min=None, taken_source=None)
    return known


def _read(text: str) -> Beside:
    try:
        return beside_from_json(text)
    except ValueError:  # of an export that somebody has changed
        return Beside()
