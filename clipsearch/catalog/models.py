"""The models that have embedded the contents of a catalog, and which of them searches use."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from clipsearch.catalog.database import Database
from clipsearch.catalog.records import ModelRecord, SpaceRecord, model_record
from clipsearch.catalog.tables import CatalogState, Embedding, File, Model
from clipsearch.catalog.tags import drop_tags_of_others
from clipsearch.media.segments import WHOLE_KINDS
from clipsearch.models.parity import Parity

MODEL_COLUMNS = (
    Model.id,
    Model.spec,
    Model.fingerprint,
    Model.dim,
    Model.precision,
    Model.parity_cosine,
    Model.parity_overlap,
)
"""What `clipsearch.catalog.records.model_record` takes."""


class ModelRepository:
    """The models of a catalog; `Catalog.models`."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def active(self) -> ModelRecord | None:
        """The model that searches use; ``None`` before the first indexing."""
        statement = select(*MODEL_COLUMNS).join(CatalogState, CatalogState.active_model_id == Model.id)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return model_record(row) if row else None

    def add(
        self, *, spec: str, fingerprint: str, dim: int, precision: str, parity: Parity | None = None
    ) -> ModelRecord:
        """A model's row, made if it is new."""
        with self._database.writing() as connection:
            return _add(connection, spec=spec, fingerprint=fingerprint, dim=dim, precision=precision, parity=parity)

    def activate(
        self, *, spec: str, fingerprint: str, dim: int, precision: str, parity: Parity | None = None
    ) -> ModelRecord:
        """Make a model the one that searches use, adding it where it is new."""
        with self._database.writing() as connection:
            model = _add(connection, spec=spec, fingerprint=fingerprint, dim=dim, precision=precision, parity=parity)
            connection.execute(update(CatalogState).values(active_model_id=model.id))
        return model

    def activate_known(self, model: ModelRecord) -> None:
        """Make a model of the catalog the one that searches use."""
        with self._database.writing() as connection:
            connection.execute(update(CatalogState).values(active_model_id=model.id))

    def spaces(self) -> list[SpaceRecord]:
        """Every model's embedding space, in the order they were begun."""
        with self._database.reading() as connection:
            active = connection.execute(select(CatalogState.active_model_id)).scalar_one()
            contents = connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one()
            models = [model_record(row) for row in connection.execute(select(*MODEL_COLUMNS).order_by(Model.id))]
            return [_space(connection, model, contents, model.id == active) for model in models]

    def drop_others(self, kept: ModelRecord) -> list[ModelRecord]:
        """Drop the embeddings and the tags of every other model, and those models."""
        with self._database.writing() as connection:
            others = [
                model_record(row) for row in connection.execute(select(*MODEL_COLUMNS).where(Model.id != kept.id))
            ]
            connection.execute(delete(Embedding).where(Embedding.model_id != kept.id))
            drop_tags_of_others(connection, kept.id)
            connection.execute(delete(Model).where(Model.id != kept.id))
        return others


def _add(
    connection: Connection, *, spec: str, fingerprint: str, dim: int, precision: str, parity: Parity | None
) -> ModelRecord:
    known = select(*MODEL_COLUMNS).where(and_(Model.spec == spec, Model.fingerprint == fingerprint))
    row = connection.execute(known).one_or_none()
    if row is not None:
        return model_record(row)
    values = {
        "spec": spec,
        "fingerprint": fingerprint,
        "dim": dim,
        "precision": precision,
        "parity_cosine": parity.cosine if parity else None,
        "parity_overlap": parity.overlap if parity else None,
    }
    model_id = connection.execute(insert(Model).values(values).returning(Model.id)).scalar_one()
    return ModelRecord(model_id, spec, fingerprint, dim, precision, parity)


def _space(connection: Connection, model: ModelRecord, contents: int, active: bool) -> SpaceRecord:
    held = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
    count = select(func.count()).where(Embedding.model_id == model.id, Embedding.kind.in_(WHOLE_KINDS), held)
    embedded = connection.execute(count).scalar_one()
    previews = connection.execute(count.where(Embedding.from_preview)).scalar_one()
    return SpaceRecord(model, embedded, previews, contents - embedded, active)
