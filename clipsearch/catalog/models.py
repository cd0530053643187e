"""The models of a catalog and the active one."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, func, insert, literal, select, update

from clipsearch.catalog.database import Repository, raise_revision
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
"""Columns for `clipsearch.catalog.records.model_record`."""


MIXED_POOLING = "mixed"
"""Value of `Model.pooling` if whole-video embeddings were made in several ways."""


class ModelRepository(Repository):
    """The models of a catalog; `Catalog.models`."""

    def active(self) -> ModelRecord | None:
        """The active model, used by searches; ``None`` before the first indexing."""
        statement = select(*MODEL_COLUMNS).join(CatalogState, CatalogState.active_model_id == Model.id)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return model_record(row) if row else None

    def add(
        self, *, spec: str, fingerprint: str, dim: int, precision: str, parity: Parity | None = None
    ) -> ModelRecord:
        """A model's record, inserted if it is new."""
        with self._database.writing() as connection:
            return _add(connection, spec=spec, fingerprint=fingerprint, dim=dim, precision=precision, parity=parity)

    def activate(
        self, *, spec: str, fingerprint: str, dim: int, precision: str, parity: Parity | None = None
    ) -> ModelRecord:
        """Make a model the active one, inserting it if it is new."""
        with self._database.writing() as connection:
            model = _add(connection, spec=spec, fingerprint=fingerprint, dim=dim, precision=precision, parity=parity)
            connection.execute(update(CatalogState).values(active_model_id=model.id))
        return model

    def activate_known(self, model: ModelRecord) -> None:
        """Make an existing model the active one."""
        with self._database.writing() as connection:
            connection.execute(update(CatalogState).values(active_model_id=model.id))

    def spaces(self) -> list[SpaceRecord]:
        """All embedding spaces, by creation."""
        with self._database.reading() as connection:
            active = connection.execute(select(CatalogState.active_model_id)).scalar_one()
            contents = connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one()
            models = [model_record(row) for row in connection.execute(select(*MODEL_COLUMNS).order_by(Model.id))]
            return [_space(connection, model, contents, model.id == active) for model in models]

    def pooling_of(self, model: ModelRecord) -> str:
        """What made a model's whole-video embeddings (`clipsearch.models.video_heads.VideoHeadsSpec.pooling_id`)."""
        with self._database.reading() as connection:
            return str(connection.execute(select(Model.pooling).where(Model.id == model.id)).scalar_one())

    def set_pooling(self, model: ModelRecord, pooling: str) -> None:
        """Record what made a model's whole-video embeddings."""
        with self._database.writing() as connection:
            connection.execute(update(Model).where(Model.id == model.id).values(pooling=pooling))

    def copy_embeddings(self, source: ModelRecord, target: ModelRecord) -> int:
        """Copy what the target lacks from a model of the same space; returns the number of contents copied.

        Embeddings of previews are left out.
        """
        columns = (Embedding.content_hash, Embedding.kind, Embedding.position, Embedding.vector, Embedding.from_preview)
        already_embedded = select(Embedding.content_hash).where(Embedding.model_id == target.id)
        copied = (
            select(*columns, literal(target.id))
            .where(
                Embedding.model_id == source.id,
                ~Embedding.from_preview,
                Embedding.content_hash.not_in(already_embedded),
            )
            .order_by(Embedding.id)
        )
        count = select(func.count()).where(Embedding.model_id == target.id, Embedding.kind.in_(WHOLE_KINDS))
        with self._database.writing() as connection:
            before = connection.execute(count).scalar_one()
            connection.execute(insert(Embedding).from_select([*(column.key for column in columns), "model_id"], copied))
            number: int = connection.execute(count).scalar_one() - before
            if number:
                of_source = select(Model.pooling).where(Model.id == source.id).scalar_subquery()
                differs = and_(Model.id == target.id, Model.pooling != of_source)
                connection.execute(update(Model).where(differs).values(pooling=MIXED_POOLING))
            raise_revision(connection)
            return number

    def drop_others(self, kept: ModelRecord) -> list[ModelRecord]:
        """Delete all other models, with their embeddings and tags, and return them."""
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
    has_file = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
    count = select(func.count()).where(Embedding.model_id == model.id, Embedding.kind.in_(WHOLE_KINDS), has_file)
    embedded = connection.execute(count).scalar_one()
    previews = connection.execute(count.where(Embedding.from_preview)).scalar_one()
    return SpaceRecord(model, embedded, previews, contents - embedded, active)
