"""Values of the common filters, for engines that evaluate these filters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import Repository
from clipsearch.catalog.tables import Content, Embedding, File


class ScalarRow(NamedTuple):
    """An embedding with a file of its content and the content's metadata."""

    embedding_id: int
    taken_at: datetime | None
    rating: int | None
    camera: str | None
    root_id: int
    relative_path: str
    taken_precision: str | None = None


class FilterFieldRepository(Repository):
    """Reads filter values of embeddings; `Catalog.scalars`."""

    def all(self, model_id: int) -> Iterator[ScalarRow]:
        """A row for every file of every embedding of a model, by embedding id, in one transaction."""
        with self._database.reading() as connection:
            for row in connection.execute(_rows(model_id)):
                yield ScalarRow(*row)

    def of(self, model_id: int, ids: NDArray[np.int64]) -> Iterator[ScalarRow]:
        """The rows of given embeddings, int64 [n] ascending."""
        for chunk in chunks(ids.tolist()):
            with self._database.reading() as connection:
                rows = connection.execute(_rows(model_id).where(Embedding.id.in_(chunk))).all()
            yield from (ScalarRow(*row) for row in rows)


def _rows(model_id: int) -> Select[int, datetime | None, int | None, str | None, int, str, str | None]:
    columns = (
        Embedding.id,
        Content.taken_at,
        Content.rating,
        Content.camera,
        File.root_id,
        File.relative_path,
        Content.taken_precision,
    )
    return (
        select(*columns)
        .join(Content, Content.content_hash == Embedding.content_hash)
        .join(File, File.content_hash == Embedding.content_hash)
        .where(Embedding.model_id == model_id)
        .order_by(Embedding.id)
    )
