"""Words for the clusters of a map: those of the vocabulary that say what a cluster has more of than the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.vocabulary import load_vocabulary
from clipsearch.labeling.tag_scores import load_tag_calibration
from clipsearch.labeling.tagging import embed_words, words_file
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.retrieval.relevance.caption_bank import kept_bank

if TYPE_CHECKING:
    from clipsearch.models.encoder import Encoder

WORDS = 2
"""Of each cluster: one alone is often a part of what its pictures show."""


def cluster_words(
    directions: NDArray[np.float32], names: list[str], words: FloatMatrix, *, count: int = WORDS
) -> list[tuple[str, ...]]:
    """The words nearest to each cluster.

    What all pictures have in common, and what all words have, is taken away first: otherwise the gap between the two
    kinds of embeddings decides.

    Args:
        directions: of the clusters, seen from the library's mean, float32 [clusters, dim]; zero for an empty one.
        names: the vocabulary.
        words: embeddings of it, float32 [words, dim], unit rows.
        count: words of each.

    Returns:
        Words of each cluster, best first; none for a cluster that is all of the library. No two clusters have the same
        first word.

    Source: the modality gap, Liang et al. 2022, "Mind the Gap", §2.
    """
    scores = directions @ l2_normalize(words - words.mean(axis=0)).T  # [clusters, words]
    found: list[tuple[str, ...]] = [() for _ in directions]
    taken: set[int] = set()
    surest_first = np.argsort(-scores.max(axis=1) / np.linalg.norm(directions, axis=1).clip(1e-9), kind="stable")
    for cluster in surest_first.tolist():
        if not directions[cluster].any():
            continue
        best = [word for word in np.argsort(-scores[cluster], kind="stable").tolist() if word not in taken][:count]
        taken.add(best[0])
        found[cluster] = tuple(names[word] for word in best)
    return found


def label_clusters(directions: NDArray[np.float32], encoder: Encoder) -> list[str]:
    """Words of the shipped vocabulary for each cluster, with commas between them; empty where there are none.

    Args:
        directions: as for `cluster_words`.
        encoder: the model of the embeddings; the vocabulary is embedded once, which takes seconds, and kept.
    """
    if not directions.any():
        return [""] * len(directions)
    words, templates = load_vocabulary(), load_tag_calibration(encoder.spec).templates
    name, shape = words_file(encoder, words, templates), (len(words), encoder.dim)
    bank = kept_bank(name, shape, lambda: embed_words(encoder, words, templates))
    found = cluster_words(directions, [word.name for word in words], bank)
    return [", ".join(of_cluster) for of_cluster in found]
