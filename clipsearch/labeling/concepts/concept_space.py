"""The embedding directions of concepts: fitted when examples or model change, cached in the catalog."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.concept_records import ConceptExample, ConceptFit, ConceptRecord
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ImageReadError, LibraryError, QueryError
from clipsearch.labeling.concepts.examples import Embedder, ExampleReader, draw_negatives
from clipsearch.labeling.concepts.names import unknown_name_message, with_name
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.query import ConceptTerm
from clipsearch.text import Notify

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConceptSpace:
    """One library's concepts in one model's embedding space.

    Attributes:
        store: the catalog.
        model: of the embedding space.
        embedder: embeds with the model.
        notify: callback for one-line user notices.
    """

    store: Catalog
    model: ModelRecord
    embedder: Embedder
    notify: Notify

    @property
    def reader(self) -> ExampleReader:
        """Finds and embeds examples."""
        return ExampleReader(self.store, self.model, self.embedder)

    def direction_of(self, term: ConceptTerm) -> NDArray[np.float32]:
        """The direction of a concept in a query, float32 [dim], unit length.

        Raises:
            QueryError: the concept is unknown, or none of its positive examples can be embedded any more.
        """
        concepts = self.store.concepts.all()
        concept = with_name(term.name, concepts)
        if concept is None:
            raise QueryError(unknown_name_message(term.name, concepts), position=term.position)
        return fit_of(self, concept).direction


def fit_of(space: ConceptSpace, concept: ConceptRecord) -> ConceptFit:
    """The fit of a concept to its current examples.

    Raises:
        QueryError: none of its positive examples can be embedded any more.
    """
    return space.store.concepts.fit(concept.id, space.model.id) or _fit(space, concept)


def fit_all(space: ConceptSpace, *, progress: Callable[[int, int], None]) -> int:
    """Fit every concept that is not fitted for the model yet, and report those that cannot be fitted.

    Args:
        space: of the model.
        progress: called with the number of concepts done and in total.

    Returns:
        Number of concepts fitted.
    """
    concepts = [item for item in space.store.concepts.all() if not space.store.concepts.fit(item.id, space.model.id)]
    fitted = 0
    for done, concept in enumerate(concepts):
        progress(done, len(concepts))
        try:
            _fit(space, concept)
            fitted += 1
        except (QueryError, ImageReadError) as error:
            space.notify(f"cannot fit {ConceptTerm(concept.name)} for the model {space.model.spec}: {error}")
    if concepts:
        progress(len(concepts), len(concepts))
    return fitted


def _fit(space: ConceptSpace, concept: ConceptRecord) -> ConceptFit:
    from clipsearch.labeling.concepts.fitting import fit_concept

    examples = space.store.concepts.examples(concept.id)
    vectors = _vectors_of(space, concept, examples)
    positives = _rows(space.model.dim, examples, vectors, positive=True)
    if not len(positives):
        raise QueryError(
            f"none of the positive examples of {ConceptTerm(concept.name)} can be embedded any more; add others with: "
            "clipsearch concept confirm"
        )
    fit = fit_concept(
        positives,
        negatives=_rows(space.model.dim, examples, vectors, positive=False),
        drawn=draw_negatives(space.store, space.model, positives, excluded=[item.content_hash for item in examples]),
        text=space.embedder.of_text(concept.text) if concept.text is not None else None,
    )
    try:
        space.store.concepts.put_fit(concept, space.model.id, fit)
    except LibraryError as error:  # a read-only library can still be searched
        logger.info("cannot cache the fit of %s: %s", concept.name, error)
    return fit


def _vectors_of(
    space: ConceptSpace, concept: ConceptRecord, examples: list[ConceptExample]
) -> dict[str, NDArray[np.floating]]:
    """The embeddings of a concept's examples by content hash; new ones are cached."""
    reader = space.reader
    embedded = {example.content_hash: reader.vector_of(example) for example in examples}
    vectors = {content_hash: vector for content_hash, vector in embedded.items() if vector is not None}
    if len(vectors) < len(examples):
        space.notify(
            f"{len(examples) - len(vectors)} of {len(examples)} examples of {ConceptTerm(concept.name)} are ignored: "
            f"their pictures are missing, and the model {space.model.spec} has not embedded them"
        )
    others = [item for item in examples if item.model_id != space.model.id and item.content_hash in vectors]
    try:
        space.store.concepts.put_vectors(
            concept.id, space.model.id, {item.content_hash: vectors[item.content_hash] for item in others}
        )
    except LibraryError as error:
        logger.info("cannot cache the examples of %s: %s", concept.name, error)
    return vectors


def _rows(
    dim: int, examples: list[ConceptExample], vectors: dict[str, NDArray[np.floating]], *, positive: bool
) -> FloatMatrix:
    """float32 [n, dim], unit rows; normalized again, as rounding to float16 changes the length."""
    hashes = [item.content_hash for item in examples if item.positive is positive]
    rows = [vectors[content_hash] for content_hash in hashes if content_hash in vectors]
    return l2_normalize(np.stack(rows)) if rows else np.empty((0, dim), np.float32)
