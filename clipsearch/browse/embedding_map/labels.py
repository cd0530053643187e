"""Label the clusters of a map with vocabulary words that distinguish them from the rest of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.vocabulary import load_vocabulary
from clipsearch.labeling.tag_scores import load_tag_calibration
from clipsearch.labeling.tagging import embed_words, words_file
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.retrieval.relevance.caption_bank import cached_embeddings

if TYPE_CHECKING:
    from clipsearch.models.encoder import Encoder

WORDS = 2
"""Words of each cluster; one alone often names only a part of what its pictures show."""


def cluster_words(
    directions: NDArray[np.float32], names: list[str], words: FloatMatrix, *, count: int = WORDS
) -> list[tuple[str, ...]]:
    """The words nearest to each cluster, after both modalities are centered to remove the modality gap.

    Args:
        directions: cluster means relative to the library's mean, float32 [clusters, dim]; zero for an empty cluster.
        names: the vocabulary.
        words: its embeddings, float32 [words, dim], unit rows.
        count: number of words for each cluster.

    Returns:
        Words of each cluster, best first; none for a cluster of the whole library. First words are unique.

    Source: the modality gap, Liang et al. 2022, "Mind the Gap", §2.
    """
    scores = directions @ l2_normalize(words - words.mean(axis=0)).T  # [clusters, words]
    labels: list[tuple[str, ...]] = [() for _ in directions]
    taken: set[int] = set()
    clearest_first = np.argsort(-scores.max(axis=1) / np.linalg.norm(directions, axis=1).clip(1e-9), kind="stable")
    for cluster in clearest_first.tolist():
        if not directions[cluster].any():
            continue
        best = [word for word in np.argsort(-scores[cluster], kind="stable").tolist() if word not in taken][:count]
        taken.add(best[0])
        labels[cluster] = tuple(names[word] for word in best)
    return labels


def label_clusters(directions: NDArray[np.float32], encoder: Encoder) -> list[str]:
    """Comma-separated words of the shipped vocabulary for each cluster; empty if there are none.

    Args:
        directions: see `cluster_words`.
        encoder: the model; the vocabulary is embedded once, which takes seconds, and cached.
    """
    if not directions.any():
        return [""] * len(directions)
    words, templates = load_vocabulary(), load_tag_calibration(encoder.spec).templates
    name, shape = words_file(encoder, words, templates), (len(words), encoder.dim)
    bank = cached_embeddings(name, shape, lambda: embed_words(encoder, words, templates))
    labels = cluster_words(directions, [word.name for word in words], bank)
    return [", ".join(label) for label in labels]
