"""One ranking of what is found by meaning and what is found by text."""

from __future__ import annotations

from collections.abc import Sequence

from clipsearch.retrieval.hybrid.finding import TextMatch

K = 60
"""Damping of ranks; source: Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion."""

TEXT_WEIGHT = 3.0
"""Weight of the ranking by text for a picture of full strength, relative to that by meaning."""

DEPTH = 500
"""Ranks by meaning that are fused; pictures below count as if they had the next rank."""

_NAMED = 10.0
"""Added for the name of a file: more than all else."""


def fused_order(by_meaning: Sequence[int], texts: Sequence[TextMatch]) -> list[int]:
    """The ids of both rankings in one order: weighted reciprocal rank fusion.

    The score of a picture is 1 / (K + rank by meaning) + `TEXT_WEIGHT` × strength / (K + rank by text). So a rare word
    comes first, and a common one, of little strength, hardly moves anything. Pictures of equal strength are ranked by
    meaning.

    Args:
        by_meaning: ids, best first; all of `texts` are among them, those below `DEPTH` last.
        texts: the matches by text.
    """
    place = {row_id: rank for rank, row_id in enumerate(by_meaning, start=1)}
    ranked = sorted(texts, key=lambda match: (-match.strength, place[match.embedding_id]))
    scores = {row_id: 1 / (K + min(rank, DEPTH)) for row_id, rank in place.items()}
    for rank, match in enumerate(ranked, start=1):
        scores[match.embedding_id] += TEXT_WEIGHT * match.strength / (K + rank)
        scores[match.embedding_id] += _NAMED if match.is_named else 0.0
    return sorted(place, key=lambda row_id: (-scores[row_id], place[row_id]))
