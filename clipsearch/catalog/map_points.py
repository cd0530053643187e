"""What a map of a whole library is drawn from: which contents files hold, and where on the Earth they were taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, select

from clipsearch.catalog.database import Database
from clipsearch.catalog.revision import current_revision
from clipsearch.catalog.tables import HASH_LENGTH, Content, Embedding, File
from clipsearch.media.segments import WHOLE_KINDS

HASH_TYPE = np.dtype(f"S{HASH_LENGTH}")
"""Content hashes in an array: a third of the room that Python's strings take."""


class MapPointRepository:
    """Contents by the whole library; `Catalog.positions`."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def embedded_contents(self, model_id: int) -> tuple[int, NDArray[np.int64], NDArray[np.bytes_]]:
        """The contents that files hold and a model has embedded.

        Returns:
            The catalog's revision; the ids of the embeddings of whole pictures, int64 [n], ascending; and the contents'
            hashes, `HASH_TYPE` [n].
        """
        held = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(Embedding.id, Embedding.content_hash).where(
            Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS), held
        )
        row_type = np.dtype([("id", np.int64), ("content_hash", HASH_TYPE)])
        with self._database.reading() as connection:
            revision = current_revision(connection)
            rows = connection.execute(statement.order_by(Embedding.id))
            found = np.fromiter(((row_id, content.encode()) for row_id, content in rows), dtype=row_type)
        return revision, found["id"].copy(), found["content_hash"].copy()

    def located_contents(
        self, condition: ColumnElement[bool] | None = None
    ) -> tuple[NDArray[np.bytes_], NDArray[np.float64]]:
        """The contents of which it is known where they were taken.

        Args:
            condition: that one of their files passes (`FilterCompiler`).

        Returns:
            Their hashes, `HASH_TYPE` [n], ascending; and degrees north and east, float64 [n, 2].
        """
        statement = (
            select(Content.content_hash, Content.latitude, Content.longitude)
            .join(File, File.content_hash == Content.content_hash)
            .where(Content.latitude.is_not(None), Content.longitude.is_not(None))
        )
        if condition is not None:
            statement = statement.where(condition)
        row_type = np.dtype([("content_hash", HASH_TYPE), ("latitude", np.float64), ("longitude", np.float64)])
        with self._database.reading() as connection:
            rows = connection.execute(statement.distinct().order_by(Content.content_hash))
            found = np.fromiter(((content.encode(), *place) for content, *place in rows), dtype=row_type)
        return found["content_hash"].copy(), np.stack([found["latitude"], found["longitude"]], axis=1)
