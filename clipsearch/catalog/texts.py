"""Text in pictures: the lines that were read, and the contents that are still to be read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import Repository, raise_revision
from clipsearch.catalog.full_text import OcrLine
from clipsearch.catalog.portable_sql import upsert
from clipsearch.catalog.tables import Content, File, TextLine, TextState
from clipsearch.catalog.text_documents import refresh_documents
from clipsearch.errors import QueryError
from clipsearch.media.segments import Segment, SegmentKind

_SEARCH_LIMIT_S = 10.0
"""How long all lines may take to be compared with a regular expression."""


class TextCounts(NamedTuple):
    """How far the reading of text has come: contents with files, those read, and those of them with text."""

    contents: int
    read: int
    with_text: int


class UnreadFile(NamedTuple):
    """A file of a content in which text was not looked for yet."""

    content_hash: str
    root_id: int
    relative_path: str
    size: int
    mtime_ns: int
    taken_at: datetime | None

    @property
    def moment_s(self) -> float:
        """When it was taken, or else changed, in seconds since 1970."""
        return self.taken_at.replace(tzinfo=UTC).timestamp() if self.taken_at is not None else self.mtime_ns / 1e9


class TextRepository(Repository):
    """Text in pictures; `Catalog.texts`. Writing needs the writer's lock."""

    def matching(self, pattern: str) -> set[str]:
        """The contents with a line that matches a regular expression, whatever the case.

        Raises:
            QueryError: the expression takes too long.
        """
        import regex

        compiled = regex.compile(pattern, regex.IGNORECASE)
        deadline = time.monotonic() + _SEARCH_LIMIT_S
        content_hashes: set[str] = set()
        with self._database.reading() as connection:
            for content_hash, text in connection.execute(select(TextLine.content_hash, TextLine.text)):
                try:
                    left = max(deadline - time.monotonic(), 0.001)
                    if content_hash not in content_hashes and compiled.search(text, timeout=left):
                        content_hashes.add(content_hash)
                except TimeoutError as error:
                    raise QueryError("the regular expression takes too long; write a simpler one") from error
        return content_hashes

    def counts(self, reader: str) -> TextCounts:
        """How many contents were read by `reader`."""
        contents = select(func.count(File.content_hash.distinct()))
        read = contents.join(TextState, TextState.content_hash == File.content_hash)
        read = read.where(TextState.reader == reader)
        lines = select(TextLine.content_hash).where(TextLine.content_hash == File.content_hash)
        with self._database.reading() as connection:
            counted = (contents, read, contents.where(lines.exists()))
            return TextCounts(*(connection.execute(statement).scalar_one() for statement in counted))

    def unread(self, reader: str) -> Iterator[UnreadFile]:
        """A file of each content with files that `reader` has not read, the newest contents first."""
        first = select(func.min(File.id)).outerjoin(TextState, TextState.content_hash == File.content_hash)
        first = first.where(TextState.reader.is_(None) | (TextState.reader.not_in((reader, failed(reader)))))
        columns = (File.content_hash, File.root_id, File.relative_path, File.size, File.mtime_ns, Content.taken_at)
        statement = select(*columns).join(Content, Content.content_hash == File.content_hash)
        statement = statement.where(File.id.in_(first.group_by(File.content_hash)))
        with self._database.reading() as connection:
            rows = [UnreadFile(*row) for row in connection.execute(statement)]
        yield from sorted(rows, key=lambda file: file.moment_s, reverse=True)

    def fail(self, content_hashes: Sequence[str], *, reader: str) -> None:
        """Record that contents cannot be read, so that `reader` does not try again; known lines stay."""
        with self._database.writing() as connection:
            _write_states(connection, content_hashes, failed(reader))

    def write(self, lines: Mapping[str, Sequence[OcrLine]], *, reader: str) -> None:
        """Replace the lines of contents, in one transaction.

        Args:
            lines: of each content, by hash; empty where there is no text.
            reader: that read them.
        """
        with self._database.writing() as connection:
            for chunk in chunks(sorted(lines)):
                known = set(
                    connection.execute(select(Content.content_hash).where(Content.content_hash.in_(chunk))).scalars()
                )
                connection.execute(delete(TextLine).where(TextLine.content_hash.in_(chunk)))
                rows = [row for digest in chunk if digest in known for row in _rows(digest, lines[digest])]
                if rows:
                    connection.execute(insert(TextLine), rows)
                _write_states(connection, [digest for digest in chunk if digest in known], reader)
            refresh_documents(connection, lines.keys())

    def publish(self) -> None:
        """Have open programs look for pictures again, after text was written."""
        with self._database.writing() as connection:
            raise_revision(connection)


def exchanged_texts(
    connection: Connection, content_hashes: Sequence[str]
) -> dict[str, tuple[str, tuple[OcrLine, ...]]]:
    """The reader and the lines of contents that were read, by hash."""
    states = select(TextState.content_hash, TextState.reader).where(TextState.content_hash.in_(content_hashes))
    lines: dict[str, list[OcrLine]] = {}
    columns = (TextLine.text, TextLine.confidence, TextLine.script)
    box = (TextLine.x, TextLine.y, TextLine.width, TextLine.height)
    statement = select(TextLine.content_hash, TextLine.kind, TextLine.position, *columns, *box)
    statement = statement.where(TextLine.content_hash.in_(content_hashes))
    order = (TextLine.kind, TextLine.position, TextLine.line)
    for content_hash, kind, position, text, confidence, script, x, y, width, height in connection.execute(
        statement.order_by(*order)
    ):
        line = OcrLine(Segment(SegmentKind(kind), position), text, confidence, script, (x, y, width, height))
        lines.setdefault(content_hash, []).append(line)
    return {digest: (reader, tuple(lines.get(digest, ()))) for digest, reader in connection.execute(states)}


def add_texts(connection: Connection, texts: Mapping[str, tuple[str | None, Sequence[OcrLine]]]) -> None:
    """Add the reader and the lines of contents that were not read yet."""
    read = {digest: (reader, lines) for digest, (reader, lines) in texts.items() if reader is not None}
    known: set[str] = set()
    for chunk in chunks(list(read)):
        states = select(TextState.content_hash).where(TextState.content_hash.in_(chunk))
        known.update(connection.execute(states).scalars())
    fresh = {digest: text for digest, text in read.items() if digest not in known}
    rows = [row for digest, (_, lines) in fresh.items() for row in _rows(digest, lines)]
    if rows:
        connection.execute(insert(TextLine), rows)
    if fresh:
        connection.execute(
            insert(TextState), [{"content_hash": digest, "reader": reader} for digest, (reader, _) in fresh.items()]
        )


def failed(reader: str) -> str:
    """The reader that is recorded of contents that it could not read."""
    return f"{reader} failed"


def _write_states(connection: Connection, content_hashes: Sequence[str], reader: str) -> None:
    if content_hashes:
        statement = upsert(connection, TextState)
        fresh = {"reader": statement.excluded["reader"]}
        rows = [{"content_hash": digest, "reader": reader} for digest in content_hashes]
        connection.execute(statement.on_conflict_do_update(index_elements=["content_hash"], set_=fresh), rows)


def _rows(content_hash: str, lines: Sequence[OcrLine]) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines):
        x, y, width, height = line.box
        yield {
            "content_hash": content_hash,
            "kind": line.segment.kind,
            "position": line.segment.position,
            "line": number,
            "text": line.text,
            "confidence": line.confidence,
            "script": line.script,
            "x": x,
            "y": y,
            "width": width,
            "height": height,
        }
