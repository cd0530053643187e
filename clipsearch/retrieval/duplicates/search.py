"""From the contents of a library to groups of duplicates."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.media.perceptual_hash import stack_fingerprints
from clipsearch.retrieval.duplicates.alignment import align
from clipsearch.retrieval.duplicates.candidates import coarse_candidates, embedding_candidates, unique_pairs
from clipsearch.retrieval.duplicates.clustering import StarClustering
from clipsearch.retrieval.duplicates.ranking import rank_files
from clipsearch.retrieval.duplicates.values import KINDS, DuplicateGroup, DuplicateKind, LibraryContent
from clipsearch.retrieval.duplicates.verification import LEAST_COARSE, LEAST_SIMILARITY, NEAR, SAME, PairVerifier


def find_duplicates(
    contents: Sequence[LibraryContent], embeddings: NDArray[np.float16], *, kinds: Collection[DuplicateKind] = KINDS
) -> list[DuplicateGroup]:
    """Groups of files that show the same picture.

    Args:
        contents: distinct contents.
        embeddings: floating [n, dim], unit length, one for each of them, of one model.
        kinds: what is looked for. A group's kind is the loosest that joins it.

    Returns:
        Groups of two files or more, closest kind first, then by the path of their best file; no file is in two.

    Raises:
        ValueError: there is not one embedding for each content, or a fingerprint has a wrong length.
    """
    if len(contents) != len(embeddings):
        raise ValueError(f"{len(contents)} contents, but {len(embeddings)} embeddings")
    loosest = max((KINDS.index(kind) for kind in kinds), default=0)
    joined = _join(contents, embeddings, loosest=loosest) if loosest > KINDS.index("identical") else []
    grouped = {row for members, _ in joined for row in members}
    alone: list[tuple[list[int], DuplicateKind]] = [
        ([row], "identical") for row, item in enumerate(contents) if len(item.files) > 1 and row not in grouped
    ]
    groups = [_group([contents[row] for row in members], kind) for members, kind in joined + alone if kind in kinds]
    return sorted(groups, key=lambda group: (KINDS.index(group.kind), str(group.best.path)))


def _join(
    contents: Sequence[LibraryContent], embeddings: NDArray[np.float16], *, loosest: int
) -> list[tuple[list[int], DuplicateKind]]:
    """Rows of contents that match, two or more, and the loosest kind of match among them."""
    rows = [row for row, item in enumerate(contents) if item.fingerprint is not None]
    if len(rows) < 2:
        return []
    fingerprints = stack_fingerprints([contents[row].fingerprint or b"" for row in rows])
    sizes = np.array([(contents[row].width, contents[row].height) for row in rows], dtype=np.int64)
    lengths = [contents[row].duration_ms for row in rows]
    judge = PairVerifier(embeddings[rows], fingerprints, sizes, durations_ms=lengths)
    candidates = unique_pairs(
        np.concatenate(
            [
                embedding_candidates(judge.embeddings, least=judge.to_cosine(LEAST_SIMILARITY)),
                coarse_candidates(fingerprints, least=LEAST_COARSE),
            ]
        )
    )
    relations = (SAME,) if loosest == KINDS.index("same") else (SAME, NEAR)
    matching = candidates[np.isin(judge.relations(candidates), relations)]
    stars = StarClustering(matching, match=lambda pairs: np.isin(judge.relations(pairs), relations))
    groups: list[tuple[list[int], DuplicateKind]] = []
    for middle, members in stars.groups():
        pairs = np.array([(min(middle, other), max(middle, other)) for other in members], dtype=np.int64)
        kind: DuplicateKind = "near" if (judge.relations(pairs) == NEAR).any() else "same"
        groups.append(([rows[row] for row in (middle, *members)], kind))
    return groups


def _group(contents: Sequence[LibraryContent], kind: DuplicateKind) -> DuplicateGroup:
    files, reason = rank_files(contents, _turns(contents) if kind == "near" else None)
    return DuplicateGroup(kind, files, reason)


def _turns(contents: Sequence[LibraryContent]) -> dict[str, int]:
    """How the pictures of a group lie beside the first of them, by hash."""
    fingerprints = stack_fingerprints([item.fingerprint or b"" for item in contents])
    fits = align(np.repeat(fingerprints[:1], len(contents), axis=0), fingerprints)
    return {item.content_hash: int(turn) for item, turn in zip(contents, fits.turn.tolist(), strict=True)}
