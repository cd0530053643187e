"""Named concepts in the catalog, with their examples and fitted classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select, update

from clipsearch.catalog.blobs import to_blob
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.concept_records import ConceptExample, ConceptFit, ConceptRecord
from clipsearch.catalog.database import Repository
from clipsearch.catalog.tables import Concept, File, Root
from clipsearch.catalog.tables import ConceptExample as ExampleRow
from clipsearch.catalog.tables import ConceptFit as FitRow
from clipsearch.text import fold

_NUMBERS = ("scale", "intercept", "text_share", "regularisation", "positives", "negatives", "drawn")


class ConceptRepository(Repository):
    """The concepts of a catalog; `Catalog.concepts`.

    Writing needs no writer's lock, because no cache depends on these tables.
    """

    def all(self) -> list[ConceptRecord]:
        """All concepts, by name."""
        columns = (Concept.id, Concept.name, Concept.text, Concept.version, Concept.added_at)
        with self._database.reading() as connection:
            return [
                # SQLite drops the time zone of UTC timestamps
                ConceptRecord(row_id, name, text, version, added_at.replace(tzinfo=UTC))
                for row_id, name, text, version, added_at in connection.execute(select(*columns).order_by(Concept.name))
            ]

    def add(self, name: str, text: str | None, examples: Sequence[ConceptExample]) -> bool:
        """Add a concept with its examples; returns False without changes if the name exists."""
        with self._database.writing() as connection:
            taken = connection.execute(select(Concept.name)).scalars()
            if fold(name) in {fold(other) for other in taken}:
                return False
            added = insert(Concept).values(name=name, text=text).returning(Concept.id)
            insert_examples(connection, connection.execute(added).scalar_one(), examples)
        return True

    def remove(self, concept_id: int) -> bool:
        """Delete a concept; returns whether it existed."""
        with self._database.writing() as connection:
            return connection.execute(delete(Concept).where(Concept.id == concept_id)).rowcount > 0

    # --- examples -------------------------------------------------------------------------------

    def examples(self, concept_id: int) -> list[ConceptExample]:
        """Examples of a concept: positives first, then by hash."""
        with self._database.reading() as connection:
            return read_examples(connection, concept_id)

    def put_examples(self, concept_id: int, examples: Sequence[ConceptExample]) -> bool:
        """Add or replace examples and delete the concept's fits; returns False without changes if it is missing."""
        with self._database.writing() as connection:
            newer = update(Concept).where(Concept.id == concept_id).values(version=Concept.version + 1)
            if connection.execute(newer).rowcount == 0:
                return False
            connection.execute(delete(FitRow).where(FitRow.concept_id == concept_id))
            for chunk in chunks([example.content_hash for example in examples]):
                same = (ExampleRow.concept_id == concept_id, ExampleRow.content_hash.in_(chunk))
                connection.execute(delete(ExampleRow).where(*same))
            insert_examples(connection, concept_id, examples)
        return True

    def put_vectors(self, concept_id: int, model_id: int, vectors: Mapping[str, NDArray[np.floating]]) -> None:
        """Store embeddings of examples by another model, floating [dim], by content hash."""
        with self._database.writing() as connection:
            for content_hash, vector in vectors.items():
                same = (ExampleRow.concept_id == concept_id, ExampleRow.content_hash == content_hash)
                values = {"vector": to_blob(vector), "model_id": model_id}
                connection.execute(update(ExampleRow).where(*same).values(values))

    def content_at(self, path: Path) -> str | None:
        """Content hash of an indexed file; ``None`` if the path is not indexed."""
        for candidate in dict.fromkeys([path.absolute(), path.resolve()]):
            statement = select(Root.id, Root.path)
            with self._database.reading() as connection:
                for root_id, root in connection.execute(statement).all():
                    if not candidate.is_relative_to(root):
                        continue
                    here = (File.root_id == root_id, File.relative_path == candidate.relative_to(root).as_posix())
                    digest: str | None = connection.execute(select(File.content_hash).where(*here)).scalar()
                    if digest is not None:
                        return digest
        return None

    # --- fits -----------------------------------------------------------------------------------

    def fit(self, concept_id: int, model_id: int) -> ConceptFit | None:
        """The current fit for a model; ``None`` if there is none."""
        with self._database.reading() as connection:
            return read_fits(connection, concept_id).get(model_id)

    def put_fit(self, concept: ConceptRecord, model_id: int, fit: ConceptFit) -> None:
        """Store a fit, unless the examples have changed since `concept` was read."""
        with self._database.writing() as connection:
            version = connection.execute(select(Concept.version).where(Concept.id == concept.id)).scalar_one_or_none()
            if version != concept.version:
                return
            same = (FitRow.concept_id == concept.id, FitRow.model_id == model_id)
            connection.execute(delete(FitRow).where(*same))
            insert_fit(connection, concept.id, model_id, fit)


def read_examples(connection: Connection, concept_id: int) -> list[ConceptExample]:
    """Examples of a concept: positives first, then by hash."""
    columns = (
        ExampleRow.content_hash,
        ExampleRow.positive,
        ExampleRow.path,
        ExampleRow.preview,
        ExampleRow.vector,
        ExampleRow.model_id,
    )
    order = (ExampleRow.positive.desc(), ExampleRow.content_hash)
    statement = select(*columns).where(ExampleRow.concept_id == concept_id).order_by(*order)
    return [
        ConceptExample(digest, positive, path, preview, np.frombuffer(blob, "<f2") if blob else None, model_id)
        for digest, positive, path, preview, blob, model_id in connection.execute(statement)
    ]


def read_fits(connection: Connection, concept_id: int) -> dict[int, ConceptFit]:
    """Current fits of a concept, by model."""
    columns = (FitRow.model_id, FitRow.direction, *(getattr(FitRow, name) for name in _NUMBERS))
    statement = select(*columns).where(FitRow.concept_id == concept_id).order_by(FitRow.model_id)
    return {
        model_id: ConceptFit(np.frombuffer(direction, "<f4"), *numbers)
        for model_id, direction, *numbers in connection.execute(statement)
    }


def insert_examples(connection: Connection, concept_id: int, examples: Sequence[ConceptExample]) -> None:
    """Insert examples of new contents."""
    rows = [
        {
            "concept_id": concept_id,
            "content_hash": example.content_hash,
            "positive": example.positive,
            "path": example.path,
            "preview": example.preview,
            "model_id": example.model_id,
            "vector": to_blob(example.vector) if example.vector is not None else None,
        }
        for example in examples
    ]
    if rows:
        connection.execute(insert(ExampleRow), rows)


def insert_fit(connection: Connection, concept_id: int, model_id: int, fit: ConceptFit) -> None:
    """Insert a fit for a model without one."""
    values: dict[str, Any] = {name: getattr(fit, name) for name in _NUMBERS}
    row = insert(FitRow).values(
        concept_id=concept_id, model_id=model_id, direction=fit.direction.astype("<f4").tobytes(), **values
    )
    connection.execute(row)
