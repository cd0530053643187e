"""The catalog reads of a search without filters, without SQLAlchemy.

Importing SQLAlchemy takes longer than the rest of a search in a small library. `clipsearch.catalog.lazy_catalog`
chooses between these reads and `Catalog`; a test compares them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from clipsearch.catalog.blobs import from_blobs
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.path_text import path_to_text, text_to_path
from clipsearch.catalog.records import FoundFile, FrameEmbeddings, ModelRecord, RootPlace, model_record
from clipsearch.catalog.schema import SCHEMA_VERSION
from clipsearch.catalog.sqlite.file import connect, explain, is_read_only
from clipsearch.catalog.sqlite.full_text import SqliteFullText
from clipsearch.errors import LibraryError
from clipsearch.media.segments import WHOLE_KINDS, Segment, SegmentKind
from clipsearch.media.stacks import StackFile

_FILES = """
    SELECT e.id, f.root_id, r.path, f.relative_path, f.size,
           i.content_hash, i.width, i.height, i.format, i.taken_at, f.stack,
           i.camera, f.mtime_ns,
           i.taken_source, i.latitude, i.longitude, i.position_source,
           n.label, i.duration_ms, i.taken_precision
    FROM embeddings e
    JOIN contents i ON i.content_hash = e.content_hash
    JOIN files f ON f.content_hash = e.content_hash
    JOIN roots r ON r.id = f.root_id
    LEFT JOIN content_places p
      ON p.content_hash = i.content_hash AND p.latitude = i.latitude AND p.longitude = i.longitude
    LEFT JOIN places n ON n.id = p.place_id
    WHERE e.id IN ({})
    ORDER BY r.path, f.relative_path
"""

_STACKS = """
    SELECT f.root_id, f.stack, r.path, f.relative_path, f.size, e.id, c.taken_at, c.camera, c.fingerprint
    FROM files f
    JOIN roots r ON r.id = f.root_id
    JOIN contents c ON c.content_hash = f.content_hash
    LEFT JOIN embeddings e ON e.content_hash = f.content_hash AND e.model_id = ? AND e.kind IN (WHOLE)
    WHERE f.stack IN ({0})
    UNION ALL
    SELECT o.root_id, o.stack, r.path, o.relative_path, o.size, NULL, NULL, NULL, NULL
    FROM other_files o
    JOIN roots r ON r.id = o.root_id
    WHERE o.stack IN ({0})
""".replace("(WHOLE)", f"({', '.join(repr(str(kind)) for kind in WHOLE_KINDS)})")

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

_FRAMES = f"""
    SELECT f.id, f.position, f.vector
    FROM embeddings w
    JOIN embeddings f ON f.content_hash = w.content_hash AND f.model_id = w.model_id AND f.kind = '{SegmentKind.FRAME}'
    WHERE w.id = ?
    ORDER BY f.position
"""


class FastReads:
    """Reads of a SQLite catalog of the current schema. Thread-safe."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use `open`."""
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()
        self.full_text = SqliteFullText(self._rows)

    @classmethod
    def open(cls, path: Path) -> FastReads | None:
        """Open a catalog; ``None`` if it is missing, damaged, or of another schema version."""
        if not path.is_file():
            return None
        try:
            connection = connect(path, read_only=is_read_only(path))
            try:
                version = connection.execute("SELECT schema_version FROM catalog_state").fetchone()
            except sqlite3.Error:
                connection.close()
                raise
        except sqlite3.Error:  # `Catalog` will report it
            return None
        if version != (SCHEMA_VERSION,):
            connection.close()
            return None
        return cls(path, connection)

    def close(self) -> None:
        """Close the connection."""
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
        files: dict[int, list[FoundFile]] = {}
        for chunk in chunks(embedding_ids):
            for row in self._rows_of(_FILES, chunk):
                files.setdefault(row[0], []).append(_found_file(row))
        return files

    def stack_files(self, model_id: int, keys: Sequence[tuple[int, str]]) -> dict[int, list[StackFile]]:
        """See `Catalog.stack_files`."""
        wanted, files_by_root = set(keys), dict[int, list[StackFile]]()
        for chunk in chunks(sorted({path_to_text(key) for _, key in keys})):
            statement = _STACKS.format(", ".join("?" * len(chunk)))
            for root_id, text, root, relative, size, row_id, taken_at, *seen in self._rows(
                statement, [model_id, *chunk, *chunk]
            ):
                key = text_to_path(text)
                if (root_id, key) in wanted:
                    path = Path(text_to_path(root), text_to_path(relative))
                    moment = datetime.fromisoformat(taken_at) if taken_at is not None else None
                    files_by_root.setdefault(root_id, []).append(StackFile(path, key, size, row_id, moment, *seen))
        return files_by_root

    def parent_ids(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, Segment]]:
        """See `Catalog.parent_ids`."""
        rows = [row for chunk in chunks(embedding_ids) for row in self._rows_of(_WHOLES, chunk)]
        return {row_id: (whole_id, Segment(SegmentKind(kind), position)) for row_id, whole_id, kind, position in rows}

    def frames_of(self, embedding_ids: Sequence[int], *, dim: int) -> dict[int, FrameEmbeddings]:
        """See `Catalog.frames_of`."""
        frames: dict[int, FrameEmbeddings] = {}
        for row_id in embedding_ids:
            if rows := self._rows(_FRAMES, [int(row_id)]):
                ids, positions, blobs = zip(*rows, strict=True)
                vectors = from_blobs(blobs, dim, catalog=str(self._path))
                frames[row_id] = FrameEmbeddings(np.array(ids, np.int64), np.array(positions, np.int64), vectors)
        return frames

    def root_places(self) -> list[RootPlace]:
        """See `clipsearch.catalog.roots.RootRepository.places`."""
        rows = self._rows("SELECT id, path, volume_id FROM roots ORDER BY path")
        return [RootPlace(row_id, Path(text_to_path(path)), volume_id) for row_id, path, volume_id in rows]

    def _rows_of(self, statement: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        """The rows of a statement with at most `CHUNK` ids."""
        return self._rows(statement.format(", ".join("?" * len(ids))), [int(row_id) for row_id in ids])

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock, closing(self._connection.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise LibraryError(explain(str(error).strip(), self._path)) from error


def _found_file(row: tuple[Any, ...]) -> FoundFile:
    embedding_id, root_id, root, relative, size, content_hash, width, height, image_format, taken_at, *rest = row
    stack, camera, mtime_ns, taken_source, latitude, longitude, position_source, place, duration_ms, precision = rest
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
        stack=text_to_path(stack) if stack is not None else None,
        camera=camera,
        mtime_ns=mtime_ns,
        taken_source=taken_source,
        latitude=latitude,
        longitude=longitude,
        position_source=position_source,
        place=place,
        duration_ms=duration_ms,
        taken_precision=precision,
    )
