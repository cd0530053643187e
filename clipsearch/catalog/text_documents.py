"""The words of each content in one row, `TextDocument`, which the database's full-text index is over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, delete, select

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.portable_sql import upsert
from clipsearch.catalog.tables import Content, ContentKeyword, ContentPlace, File, Place, Root, TextDocument, TextLine
from clipsearch.text import search_form


def refresh_documents(connection: Connection, content_hashes: Collection[str]) -> None:
    """Bring the documents of contents up to date, in the transaction that changed them or their files."""
    for chunk in chunks(sorted(content_hashes)):
        documents = _documents(connection, chunk)
        gone = [digest for digest in chunk if digest not in documents]
        if gone:
            connection.execute(delete(TextDocument).where(TextDocument.content_hash.in_(gone)))
        if documents:
            statement = upsert(connection, TextDocument)
            rows = list(documents.values())
            fresh = {name: statement.excluded[name] for name in rows[0] if name != "content_hash"}
            connection.execute(statement.on_conflict_do_update(index_elements=["content_hash"], set_=fresh), rows)


def contents_of_root(connection: Connection, root_id: int) -> set[str]:
    """The contents that files of a root hold."""
    return set(connection.execute(select(File.content_hash).where(File.root_id == root_id)).scalars())


def _documents(connection: Connection, content_hashes: Sequence[str]) -> dict[str, dict[str, str]]:
    """The rows of those contents that have files, by hash."""
    statement = select(Content.content_hash, Content.title, Content.caption, Content.camera, Place.names)
    statement = statement.outerjoin(ContentPlace, ContentPlace.of_content()).outerjoin(
        Place, Place.id == ContentPlace.place_id
    )
    contents = connection.execute(statement.where(Content.content_hash.in_(content_hashes))).all()
    lines = _joined(
        connection, TextLine, TextLine.text, content_hashes, TextLine.kind, TextLine.position, TextLine.line
    )
    keywords = _joined(connection, ContentKeyword, ContentKeyword.keyword, content_hashes, ContentKeyword.position)
    names: dict[str, list[str]] = {}
    folders: dict[str, list[str]] = {}
    files = select(File.content_hash, Root.path, File.relative_path).join(Root, Root.id == File.root_id)
    files = files.where(File.content_hash.in_(content_hashes)).order_by(Root.path, File.relative_path)
    for content_hash, root, relative in connection.execute(files):
        path = PurePosixPath(PurePosixPath(root.replace("\\", "/")).name) / relative
        names.setdefault(content_hash, []).append(path.name)
        folders.setdefault(content_hash, []).append(path.parent.as_posix())
    return {
        content_hash: {
            "content_hash": content_hash,
            "text": "\n".join(lines.get(content_hash, ())),
            "title": search_form(title or ""),
            "caption": search_form(caption or ""),
            "keyword": "\n".join(keywords.get(content_hash, ())),
            "name": search_form("\n".join(dict.fromkeys(names[content_hash]))),
            "folder": search_form("\n".join(dict.fromkeys(folders[content_hash]))),
            "place": places or "",
            "camera": search_form(camera or ""),
        }
        for content_hash, title, caption, camera, places in contents
        if content_hash in names
    }


def _joined(
    connection: Connection, table: Any, column: Any, content_hashes: Sequence[str], *order: Any
) -> dict[str, list[str]]:
    """A text column of each content, in order, in search form."""
    texts: dict[str, list[str]] = {}
    statement = select(table.content_hash, column).where(table.content_hash.in_(content_hashes)).order_by(*order)
    for content_hash, text in connection.execute(statement):
        texts.setdefault(content_hash, []).append(search_form(text))
    return texts
