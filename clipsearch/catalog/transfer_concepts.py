"""Taking the named concepts out of a catalog, and putting such concepts back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from clipsearch.catalog.concept_records import ConceptExample, ConceptFit
from clipsearch.catalog.concepts import insert_examples, insert_fit, read_examples, read_fits
from clipsearch.catalog.tables import Concept, Model
from clipsearch.catalog.tables import ConceptFit as FitRow
from clipsearch.text import fold


@dataclass(frozen=True)
class ExchangedModel:
    """A model that concepts were fitted for; see `clipsearch.catalog.records.ModelRecord`."""

    spec: str
    fingerprint: str
    dim: int


@dataclass(frozen=True)
class ExchangedConcept:
    """A concept with all that is kept of it.

    Attributes:
        name: unique, upper and lower case being the same.
        text: what it is in words, if anybody said so.
        added_at: with time zone.
        examples: positives first; whose embeddings they have, `ConceptExample.model_id`, is an index into
            `ExchangedConcepts.models`.
        fits: what was fitted to these examples, by the same index.
    """

    name: str
    text: str | None
    added_at: datetime
    examples: tuple[ConceptExample, ...]
    fits: Mapping[int, ConceptFit]

    @property
    def signs(self) -> dict[str, bool]:
        """Which contents show it, by hash."""
        return {example.content_hash: example.positive for example in self.examples}


@dataclass(frozen=True)
class ExchangedConcepts:
    """The concepts of a catalog, by name, and the models that they refer to."""

    models: tuple[ExchangedModel, ...] = ()
    concepts: tuple[ExchangedConcept, ...] = ()


def exchanged_concepts(connection: Connection) -> ExchangedConcepts:
    """All concepts of a catalog."""
    columns = (Model.id, Model.spec, Model.fingerprint, Model.dim)
    models = connection.execute(select(*columns).order_by(Model.spec, Model.fingerprint)).all()
    index = {row[0]: place for place, row in enumerate(models)}
    columns_of_concepts = (Concept.id, Concept.name, Concept.text, Concept.added_at)
    concepts = []
    for row_id, name, text, added_at in connection.execute(select(*columns_of_concepts).order_by(Concept.name)).all():
        examples = [_in_models(example, index) for example in read_examples(connection, row_id)]
        fits = {index[model_id]: fit for model_id, fit in read_fits(connection, row_id).items()}
        # SQLite drops the zone; what is stored is UTC
        concepts.append(ExchangedConcept(name, text, added_at.replace(tzinfo=UTC), tuple(examples), fits))
    return ExchangedConcepts(tuple(ExchangedModel(*row[1:]) for row in models), tuple(concepts))


def add_concepts(connection: Connection, exchanged: ExchangedConcepts) -> int:
    """Add concepts, and to those of the same name what they lack; nothing that a person said here is changed.

    What was fitted comes along for the models that the catalog knows, where the examples and the text are then those
    that it was fitted to. Otherwise it is fitted again when it is next used.

    Returns:
        How many concepts are new or have changed.
    """
    rows = _known_models(connection, exchanged.models)
    columns = select(Concept.id, Concept.name, Concept.text)
    known = {fold(name): (row_id, text) for row_id, name, text in connection.execute(columns)}
    changed = 0
    for concept in exchanged.concepts:
        imported = replace(
            concept,
            examples=tuple(_in_models(example, rows) for example in concept.examples),
            fits={rows[index]: fit for index, fit in concept.fits.items() if index in rows},
        )
        existing = known.get(fold(concept.name))
        if existing is None:
            _add(connection, imported)
            changed += 1
        else:
            changed += _merge(connection, *existing, imported)
    return changed


def _add(connection: Connection, concept: ExchangedConcept) -> None:
    values = {"name": concept.name, "text": concept.text, "added_at": concept.added_at}
    row_id = connection.execute(insert(Concept).values(values).returning(Concept.id)).scalar_one()
    insert_examples(connection, row_id, concept.examples)
    for model_id, fit in concept.fits.items():
        insert_fit(connection, row_id, model_id, fit)


def _merge(connection: Connection, row_id: int, text: str | None, concept: ExchangedConcept) -> bool:
    """Add what a concept of the catalog lacks; returns whether that was anything."""
    signs = {example.content_hash: example.positive for example in read_examples(connection, row_id)}
    fresh = [example for example in concept.examples if example.content_hash not in signs]
    merged_text = text if text is not None else concept.text
    changed = bool(fresh) or merged_text != text
    if changed:
        newer = {"text": merged_text, "version": Concept.version + 1}
        connection.execute(update(Concept).where(Concept.id == row_id).values(newer))
        connection.execute(delete(FitRow).where(FitRow.concept_id == row_id))
        insert_examples(connection, row_id, fresh)
    if (concept.signs, concept.text) == ({**concept.signs, **signs}, merged_text):
        for model_id in concept.fits.keys() - read_fits(connection, row_id).keys():
            insert_fit(connection, row_id, model_id, concept.fits[model_id])
    return changed


def _known_models(connection: Connection, models: Sequence[ExchangedModel]) -> dict[int, int]:
    """The rows of those models that the catalog has, by their index."""
    columns = select(Model.id, Model.spec, Model.fingerprint, Model.dim)
    known = connection.execute(columns)
    rows = {ExchangedModel(spec, fingerprint, dim): row_id for row_id, spec, fingerprint, dim in known}
    return {index: rows[model] for index, model in enumerate(models) if model in rows}


def _in_models(example: ConceptExample, rows: Mapping[int, int]) -> ConceptExample:
    """An example whose model has another number; without its embedding where that model has none."""
    row = rows.get(example.model_id) if example.model_id is not None else None
    return replace(example, model_id=row, vector=example.vector if row is not None else None)
