"""Data of the library's maps: embedded contents and their coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, select

from clipsearch.catalog.database import Repository, current_revision
from clipsearch.catalog.tables import HASH_LENGTH, Content, ContentPlace, Embedding, File, Place
from clipsearch.media.segments import WHOLE_KINDS

HASH_TYPE = np.dtype(f"S{HASH_LENGTH}")
"""Content hashes in an array, a third of the size of Python strings."""


class MapPointRepository(Repository):
    """Reads all contents for the maps; `Catalog.positions`."""

    def embedded_contents(self, model_id: int) -> tuple[int, NDArray[np.int64], NDArray[np.bytes_]]:
        """The contents with files that a model has embedded.

        Returns:
            The revision; the ids of the whole images' embeddings, int64 [n] ascending; and the content hashes,
            `HASH_TYPE` [n].
        """
        has_file = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(Embedding.id, Embedding.content_hash).where(
            Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS), has_file
        )
        row_type = np.dtype([("id", np.int64), ("content_hash", HASH_TYPE)])
        with self._database.reading() as connection:
            revision = current_revision(connection)
            rows = connection.execute(statement.order_by(Embedding.id))
            contents = np.fromiter(((row_id, content.encode()) for row_id, content in rows), dtype=row_type)
        return revision, contents["id"].copy(), contents["content_hash"].copy()

    def located_contents(
        self, condition: ColumnElement[bool] | None = None
    ) -> tuple[NDArray[np.bytes_], NDArray[np.float64], list[str]]:
        """The contents with coordinates.

        Args:
            condition: to be passed by one of their files (`FilterCompiler`).

        Returns:
            Hashes, `HASH_TYPE` [n] ascending; degrees north and east, float64 [n, 2]; and names of the places,
            empty where unknown.
        """
        statement = (
            select(Content.content_hash, Content.latitude, Content.longitude, Place.label)
            .join(File, File.content_hash == Content.content_hash)
            .outerjoin(ContentPlace, ContentPlace.of_content())
            .outerjoin(Place, Place.id == ContentPlace.place_id)
            .where(Content.latitude.is_not(None), Content.longitude.is_not(None))
        )
        if condition is not None:
            statement = statement.where(condition)
        row_type = np.dtype([("content_hash", HASH_TYPE), ("latitude", np.float64), ("longitude", np.float64)])
        with self._database.reading() as connection:
            rows = connection.execute(statement.distinct().order_by(Content.content_hash)).all()
        places = np.fromiter(((content.encode(), *place) for content, *place, _ in rows), dtype=row_type)
        coordinates = np.stack([places["latitude"], places["longitude"]], axis=1)
        return places["content_hash"].copy(), coordinates, [name or "" for *_, name in rows]
