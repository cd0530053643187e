"""Active learning: choose uncertain and diverse pictures to confirm or reject."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.labeling.concepts.concept_space import ConceptSpace, fit_of
from clipsearch.labeling.concepts.service import find
from clipsearch.labeling.concepts.values import Suggestion
from clipsearch.models.encoder import FloatMatrix
from clipsearch.query import ConceptTerm

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchResult

CANDIDATES = 400
"""Number of nearest pictures to choose from; farther away almost no picture shows the concept."""


def suggest(
    space: ConceptSpace, name: str, *, k: int, search: Callable[[str, int], list[SearchResult]]
) -> list[Suggestion]:
    """See `Library.concepts.suggest`.

    Args:
        space: the library's concepts.
        name: of the concept.
        k: maximum number of pictures.
        search: returns the best results of a query line, up to a number.
    """
    concept = find(space.store, name)
    fit = fit_of(space, concept)
    known = {example.content_hash for example in space.store.concepts.examples(concept.id)}
    results = {
        result.content_hash: result
        for result in reversed(search(str(ConceptTerm(concept.name)), CANDIDATES + len(known)))
        if result.content_hash not in known
    }
    vectors = space.store.embeddings_by_hash(sorted(results), space.model)
    if not vectors:
        return []
    hashes = list(vectors)
    embeddings = np.stack([vectors[content_hash] for content_hash in hashes]).astype(np.float32)
    probabilities = fit.probabilities(embeddings)
    return [
        Suggestion(results[hashes[row]].path, hashes[row], float(probabilities[row]), results[hashes[row]].thumbnail)
        for row in most_useful(probabilities, embeddings, count=k)
    ]


def most_useful(probabilities: NDArray[np.float64], embeddings: FloatMatrix, *, count: int) -> list[int]:
    """Choose pictures greedily by uncertainty times dissimilarity to those already chosen.

    Args:
        probabilities: that each shows the concept, float64 [n].
        embeddings: float32 [n, dim], unit rows.
        count: maximum number of pictures.

    Returns:
        Rows, the most useful first.

    Source: uncertainty sampling, Lewis and Gale 1994, "A Sequential Algorithm for Training Text Classifiers"; maximal
    marginal relevance, Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking for
    Reordering Documents and Producing Summaries".
    """
    uncertainty = 1.0 - np.abs(2.0 * probabilities - 1.0)
    nearest = np.zeros(len(uncertainty))  # cosine with the most similar chosen picture
    chosen: list[int] = []
    remaining = np.ones(len(uncertainty), bool)
    while remaining.any() and len(chosen) < count:
        usefulness = np.where(remaining, uncertainty * (1.0 - nearest), -1.0)
        chosen.append(int(usefulness.argmax()))
        remaining[chosen[-1]] = False
        nearest = np.maximum(nearest, (embeddings @ embeddings[chosen[-1]]).clip(0.0, 1.0))
    return chosen
