"""Which pictures are worth asking a person about: those the examples leave in doubt, and not the same one twice."""

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
"""Pictures that are looked at: the nearest to the concept. Farther away there is next to no picture that shows it."""


def suggest(
    space: ConceptSpace, name: str, *, k: int, search: Callable[[str, int], list[SearchResult]]
) -> list[Suggestion]:
    """The pictures most worth asking about; see `Library.concepts.suggest`.

    Args:
        space: the library's concepts.
        name: of one of them.
        k: how many, at most.
        search: gives so many results of a query line.
    """
    concept = find(space.store, name)
    fit = fit_of(space, concept)
    known = {example.content_hash for example in space.store.concepts.examples(concept.id)}
    results = {
        result.content_hash: result
        for result in reversed(search(str(ConceptTerm(concept.name)), CANDIDATES + len(known)))
        if result.content_hash not in known
    }
    vectors = space.store.concepts.vectors_of(sorted(results), space.model.id)
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
    """Choose pictures one by one: in doubt, times unlike those that are chosen already.

    Args:
        probabilities: that each shows the concept, float64 [n].
        embeddings: float32 [n, dim], unit rows.
        count: how many, at most.

    Returns:
        Their rows, the most useful first.

    Source: uncertainty sampling, Lewis and Gale 1994, "A Sequential Algorithm for Training Text Classifiers"; one by
    one as in maximal marginal relevance, Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking for
    Reordering Documents and Producing Summaries".
    """
    doubt = 1.0 - np.abs(2.0 * probabilities - 1.0)
    nearest = np.zeros(len(doubt))  # cosine with the most similar chosen one
    chosen: list[int] = []
    left = np.ones(len(doubt), bool)
    while left.any() and len(chosen) < count:
        worth = np.where(left, doubt * (1.0 - nearest), -1.0)
        chosen.append(int(worth.argmax()))
        left[chosen[-1]] = False
        nearest = np.maximum(nearest, (embeddings @ embeddings[chosen[-1]]).clip(0.0, 1.0))
    return chosen
