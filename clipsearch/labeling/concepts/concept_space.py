"""What a concept looks for: fitted when its examples or the model have changed, and kept."""

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
from clipsearch.labeling.concepts.examples import Embedder, ExampleReader
from clipsearch.labeling.concepts.names import unknown, with_name
from clipsearch.labeling.concepts.negatives import draw_negatives
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.query import ConceptTerm

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConceptSpace:
    """One library's concepts in the space of one model.

    Attributes:
        store: the catalog.
        model: whose space.
        embedder: embeds with it.
        notify: told in one line what a person should know.
    """

    store: Catalog
    model: ModelRecord
    embedder: Embedder
    notify: Callable[[str], None]

    @property
    def reader(self) -> ExampleReader:
        """Finds and embeds examples."""
        return ExampleReader(self.store, self.model, self.embedder)

    def direction_of(self, term: ConceptTerm) -> NDArray[np.float32]:
        """What a term of a query looks for, float32 [dim], unit length.

        Raises:
            QueryError: no concept has that name, or none of its positive examples can be embedded any more.
        """
        concepts = self.store.concepts.all()
        concept = with_name(term.name, concepts)
        if concept is None:
            raise QueryError(unknown(term.name, concepts), position=term.position)
        return fit_of(self, concept).direction


def fit_of(space: ConceptSpace, concept: ConceptRecord) -> ConceptFit:
    """What is fitted to a concept's examples as they are.

    Raises:
        QueryError: none of its positive examples can be embedded any more.
    """
    known = space.store.concepts.fit(concept.id, space.model.id)
    return known if known is not None else _fit(space, concept)


def fit_all(space: ConceptSpace, *, progress: Callable[[int, int], None]) -> int:
    """Fit every concept that is not fitted for the model yet, so that none has to be when it is first used.

    One that cannot be fitted is told and left as it is: whoever uses it is told as well.

    Args:
        space: of the model.
        progress: told before each how many are done, and of how many; and at the end.

    Returns:
        How many were fitted.
    """
    concepts = [item for item in space.store.concepts.all() if not space.store.concepts.fit(item.id, space.model.id)]
    fitted = 0
    for done, concept in enumerate(concepts):
        progress(done, len(concepts))
        try:
            _fit(space, concept)
            fitted += 1
        except (QueryError, ImageReadError) as error:
            space.notify(f"{ConceptTerm(concept.name)} is not fitted for the model {space.model.spec}: {error}")
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
            f"none of the pictures that show {ConceptTerm(concept.name)} can be embedded any more; name others with: "
            "clipsearch concept confirm"
        )
    fit = fit_concept(
        positives,
        negatives=_rows(space.model.dim, examples, vectors, positive=False),
        drawn=draw_negatives(space.store, space.model, positives, without=[item.content_hash for item in examples]),
        text=space.embedder.of_text(concept.text) if concept.text is not None else None,
    )
    try:
        space.store.concepts.put_fit(concept, space.model.id, fit)
    except LibraryError as error:  # a library that can only be read is searched all the same
        logger.info("what was fitted for %s was not kept: %s", concept.name, error)
    return fit


def _vectors_of(
    space: ConceptSpace, concept: ConceptRecord, examples: list[ConceptExample]
) -> dict[str, NDArray[np.floating]]:
    """The embeddings of a concept's examples by content hash; what had to be made anew is kept."""
    reader = space.reader
    found = {example.content_hash: reader.vector_of(example) for example in examples}
    vectors = {content_hash: vector for content_hash, vector in found.items() if vector is not None}
    if len(vectors) < len(examples):
        space.notify(
            f"{len(examples) - len(vectors)} of {len(examples)} examples of {ConceptTerm(concept.name)} are left out: "
            f"their pictures are gone, and the model {space.model.spec} has not embedded them"
        )
    others = [item for item in examples if item.model_id != space.model.id and item.content_hash in vectors]
    try:
        space.store.concepts.put_vectors(
            concept.id, space.model.id, {item.content_hash: vectors[item.content_hash] for item in others}
        )
    except LibraryError as error:
        logger.info("the examples of %s were not kept: %s", concept.name, error)
    return vectors


def _rows(
    dim: int, examples: list[ConceptExample], vectors: dict[str, NDArray[np.floating]], *, positive: bool
) -> FloatMatrix:
    """float32 [n, dim], unit rows: what is kept as float16 is not quite of unit length."""
    wanted = [item.content_hash for item in examples if item.positive is positive]
    chosen = [vectors[content_hash] for content_hash in wanted if content_hash in vectors]
    return l2_normalize(np.stack(chosen)) if chosen else np.empty((0, dim), np.float32)
