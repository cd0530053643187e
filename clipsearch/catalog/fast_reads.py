"""The few reads of a plain search, by the standard library alone.

Loading SQLAlchemy takes longer than all the rest of a search over a small library. What a search without a filter
reads of the catalog is therefore read here, and only here, past it; `clipsearch.catalog.lazy_catalog` decides. A test
compares each read with `Catalog`'s.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.path_text import text_to_path
from clipsearch.catalog.records import FoundFile, ModelRecord, RootPlace, model_record
from clipsearch.catalog.schema import SCHEMA_VERSION
from clipsearch.catalog.sqlite.file import connect, explain, is_read_only
from clipsearch.errors import LibraryError
from clipsearch.media.segments import WHOLE_KINDS, Segment, SegmentKind

_FILES = """
    SELECT e.id, f.root_id, r.path, f.relative_path, f.size,
           i.content_hash, i.width, i.height, i.format, i.taken_at
    FROM embeddings e
    JOIN contents i ON i.content_hash = e.content_hash
    JOIN files f ON f.content_hash = e.content_hash
    JOIN roots r ON r.id = f.root_id
    WHERE e.id IN ({})
    ORDER BY r.path, f.relative_path
"""

_ACTIVE_MODEL = """
    SELECT m.id, m.spec, m.fingerprint, m.dim, m.precision, m.parity_cosine, m.parity_overlap
    FROM models m JOIN catalog_state s ON s.active_model_id = m.id
"""


_WHOLES = """
    SELECT p.id, w.id, p.kind, p.position
    FROM embeddings p
    JOIN embeddings w ON w.content_hash = p.content_hash AND w.model_id = p.model_id AND w.kind IN (WHOLE)
    WHERE p.id IN ({}) AND p.kind NOT IN (WHOLE)
""".replace("(WHOLE)", f"({', '.join(repr(str(kind)) for kind in WHOLE_KINDS)})")


class QuickReads:
    """Reads of a SQLite catalog of the current schema. Safe to use from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Bind an open connection; use `open`."""
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> QuickReads | None:
        """Open a catalog; ``None`` if it needs more than a look: it is not there, damaged, or of another schema."""
        if not path.is_file():
            return None
        try:
            connection = connect(path, read_only=is_read_only(path))
            try:
                version = connection.execute("SELECT schema_version FROM catalog_state").fetchone()
            except sqlite3.Error:
                connection.close()
                raise
        except sqlite3.Error:  # whatever it is, `Catalog` finds it, too, and says what to do
            return None
        if version != (SCHEMA_VERSION,):
            connection.close()
            return None
        return cls(path, connection)

    def close(self) -> None:
        """Give back the connection."""
        with self._lock:
            self._connection.close()

    def active_model(self) -> ModelRecord | None:
        """See `clipsearch.catalog.models.ModelRepository.active`."""
        rows = self._rows(_ACTIVE_MODEL)
        return model_record(rows[0]) if rows else None

    def revision(self) -> int:
        """See `Catalog.revision`."""
        return int(self._rows("SELECT revision FROM catalog_state")[0][0])

    def files_of(self, embedding_ids: Sequence[int]) -> dict[int, list[FoundFile]]:
        """See `Catalog.files_of`."""
        found: dict[int, list[FoundFile]] = {}
        for chunk in chunks(embedding_ids):
            for row in self._rows_of(_FILES, chunk):
                found.setdefault(row[0], []).append(_found_file(row))
        return found

    def parent_ids(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, Segment]]:
        """See `Catalog.parent_ids`."""
        rows = [row for chunk in chunks(embedding_ids) for row in self._rows_of(_WHOLES, chunk)]
        return {row_id: (whole_id, Segment(SegmentKind(kind), position)) for row_id, whole_id, kind, position in rows}

    def root_places(self) -> list[RootPlace]:
        """See `clipsearch.catalog.roots.RootRepository.places`."""
        rows = self._rows("SELECT id, path, volume_id FROM roots ORDER BY path")
        return [RootPlace(row_id, Path(text_to_path(path)), volume_id) for row_id, path, volume_id in rows]

    def _rows_of(self, statement: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """The rows of a statement about some ids, at most `CHUNK`."""
        return self._rows(statement.format(", ".join("?" * len(ids))), [int(row_id) for row_id in ids])

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock, closing(self._connection.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise LibraryError(explain(str(error).strip(), self._path)) from error


def _found_file(row: tuple[Any, ...]) -> FoundFile:
    embedding_id, root_id, root, relative, size, content_hash, width, height, image_format, taken_at = row
    return FoundFile(
        embedding_id=embedding_id,
        root_id=root_id,
        path=Path(text_to_path(root), text_to_path(relative)),
        size=size,
        content_hash=content_hash,
        width=width,
        height=height,
        format=image_format,
        taken_at=datetime.fromisoformat(taken_at) if taken_at is not None else None,
    )
