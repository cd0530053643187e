"""Named concepts in the catalog: their examples, and what each model makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select, update

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.concept_records import ConceptExample, ConceptFit, ConceptRecord
from clipsearch.catalog.database import Database
from clipsearch.catalog.tables import Concept, Embedding, File, Root
from clipsearch.catalog.tables import ConceptExample as ExampleRow
from clipsearch.catalog.tables import ConceptFit as FitRow
from clipsearch.media.segments import WHOLE_KINDS

_NUMBERS = ("scale", "intercept", "text_share", "regularisation", "positives", "negatives", "drawn")


class ConceptRepository:
    """The concepts of a catalog; `Catalog.concepts`.

    No cache depends on what is written here, so the writer's lock is not asked for: a person can confirm pictures
    while another process indexes.
    """

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def all(self) -> list[ConceptRecord]:
        """Every concept, by name."""
        columns = (Concept.id, Concept.name, Concept.text, Concept.version, Concept.added_at)
        with self._database.reading() as connection:
            return [
                # SQLite drops the zone; what is stored is UTC
                ConceptRecord(row_id, name, text, version, added_at.replace(tzinfo=UTC))
                for row_id, name, text, version, added_at in connection.execute(select(*columns).order_by(Concept.name))
            ]

    def add(self, name: str, text: str | None, examples: Sequence[ConceptExample]) -> bool:
        """Add a concept with its examples; returns False, and nothing is changed, if the name is taken."""
        with self._database.writing() as connection:
            taken = connection.execute(select(Concept.name)).scalars()
            if name.casefold() in {other.casefold() for other in taken}:
                return False
            added = insert(Concept).values(name=name, text=text).returning(Concept.id)
            insert_examples(connection, connection.execute(added).scalar_one(), examples)
        return True

    def remove(self, concept_id: int) -> bool:
        """Forget a concept; returns whether there was one."""
        with self._database.writing() as connection:
            return connection.execute(delete(Concept).where(Concept.id == concept_id)).rowcount > 0

    # --- examples -------------------------------------------------------------------------------

    def examples(self, concept_id: int) -> list[ConceptExample]:
        """The examples of a concept: positives first, then by hash."""
        with self._database.reading() as connection:
            return read_examples(connection, concept_id)

    def put_examples(self, concept_id: int, examples: Sequence[ConceptExample]) -> bool:
        """Add examples, in place of those of the same content; what was fitted before is dropped.

        Returns:
            False, and nothing is changed, if the concept is gone.
        """
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
        """Keep the embeddings of examples by another model, floating [dim], by content hash."""
        with self._database.writing() as connection:
            for content_hash, vector in vectors.items():
                same = (ExampleRow.concept_id == concept_id, ExampleRow.content_hash == content_hash)
                values = {"vector": _to_blob(vector, "<f2"), "model_id": model_id}
                connection.execute(update(ExampleRow).where(*same).values(values))

    def content_at(self, path: Path) -> str | None:
        """The content hash of what a file of the library held when it was indexed; ``None`` if it knows none there."""
        for candidate in dict.fromkeys([path.absolute(), path.resolve()]):
            statement = select(Root.id, Root.path)
            with self._database.reading() as connection:
                for root_id, root in connection.execute(statement).all():
                    if not candidate.is_relative_to(root):
                        continue
                    here = (File.root_id == root_id, File.relative_path == candidate.relative_to(root).as_posix())
                    found: str | None = connection.execute(select(File.content_hash).where(*here)).scalar()
                    if found is not None:
                        return found
        return None

    def vectors_of(self, content_hashes: Sequence[str], model_id: int) -> dict[str, NDArray[np.float16]]:
        """The library's embeddings of whole pictures, float16 [dim], by content hash, in the order of the hashes."""
        found: dict[str, NDArray[np.float16]] = {}
        whole = (Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS))
        for chunk in chunks(content_hashes):
            statement = select(Embedding.content_hash, Embedding.vector).where(
                *whole, Embedding.content_hash.in_(chunk)
            )
            with self._database.reading() as connection:
                found.update((digest, np.frombuffer(blob, "<f2")) for digest, blob in connection.execute(statement))
        return {digest: found[digest] for digest in content_hashes if digest in found}

    # --- fits -----------------------------------------------------------------------------------

    def fit(self, concept_id: int, model_id: int) -> ConceptFit | None:
        """What was fitted for a model to the examples as they are; ``None`` if that has to be done."""
        with self._database.reading() as connection:
            return read_fits(connection, concept_id).get(model_id)

    def put_fit(self, concept: ConceptRecord, model_id: int, fit: ConceptFit) -> None:
        """Keep what was fitted, unless the examples have changed since `concept` was read."""
        with self._database.writing() as connection:
            version = connection.execute(select(Concept.version).where(Concept.id == concept.id)).scalar_one_or_none()
            if version != concept.version:
                return
            same = (FitRow.concept_id == concept.id, FitRow.model_id == model_id)
            connection.execute(delete(FitRow).where(*same))
            insert_fit(connection, concept.id, model_id, fit)


def read_examples(connection: Connection, concept_id: int) -> list[ConceptExample]:
    """The examples of a concept: positives first, then by hash."""
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
    """What was fitted to the examples of a concept as they are, by model."""
    columns = (FitRow.model_id, FitRow.direction, *(getattr(FitRow, name) for name in _NUMBERS))
    statement = select(*columns).where(FitRow.concept_id == concept_id).order_by(FitRow.model_id)
    return {
        model_id: ConceptFit(np.frombuffer(direction, "<f4"), *numbers)
        for model_id, direction, *numbers in connection.execute(statement)
    }


def insert_examples(connection: Connection, concept_id: int, examples: Sequence[ConceptExample]) -> None:
    """Add examples of contents that the concept does not have yet."""
    rows = [
        {
            "concept_id": concept_id,
            "content_hash": example.content_hash,
            "positive": example.positive,
            "path": example.path,
            "preview": example.preview,
            "model_id": example.model_id,
            "vector": _to_blob(example.vector, "<f2") if example.vector is not None else None,
        }
        for example in examples
    ]
    if rows:
        connection.execute(insert(ExampleRow), rows)


def insert_fit(connection: Connection, concept_id: int, model_id: int, fit: ConceptFit) -> None:
    """Add what was fitted for a model that has no fit of the concept yet."""
    values: dict[str, Any] = {name: getattr(fit, name) for name in _NUMBERS}
    row = insert(FitRow).values(
        concept_id=concept_id, model_id=model_id, direction=_to_blob(fit.direction, "<f4"), **values
    )
    connection.execute(row)


def _to_blob(vector: NDArray[np.floating], dtype: str) -> bytes:
    return vector.astype(dtype).tobytes()
