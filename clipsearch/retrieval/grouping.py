"""One result for all versions of a photo: each result claims its versions, which then are no results of their own.

Versions are what `clipsearch.retrieval.duplicates` calls duplicates, as far as the embedding brings them together:
re-saved,
resized, lightly cropped and edited pictures, and mirrored or turned ones unless the model finds them too different.
Which those are depends on the picture and the library alone, not on how many results are asked for, so that pages of
grouped results fit together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.media.perceptual_hash import stack_fingerprints
from clipsearch.retrieval.duplicates.candidates import EMBEDDING_NEIGHBOURS
from clipsearch.retrieval.duplicates.verification import LEAST_SIMILARITY, NONE, PairVerifier, to_cosine
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.index import Neighbors, best

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.vectors.index import VectorIndex

_FEWEST_AT_ONCE, _MOST_AT_ONCE = 16, 256
"""Pictures whose versions are looked for together: one pass over the index is quicker for many, but not without end."""

_MOST_KEPT = 20_000
"""Pictures whose versions are remembered: a few megabytes, and as far as anybody turns pages."""


@dataclass(frozen=True)
class Group:
    """A picture and its further versions, as ids of their embeddings."""

    first: int
    versions: tuple[int, ...]


class NearDuplicateFinder:
    """Finds the versions of pictures in a library as it is at one revision, and remembers them."""

    def __init__(self, store: Catalog, model: ModelRecord, index: VectorIndex, *, random_cosine: float) -> None:
        """Bind the pictures.

        Args:
            store: the catalog.
            model: whose embeddings.
            index: of these.
            random_cosine: `clipsearch.retrieval.duplicates.verification.mean_cosine` of the library.
        """
        self._store = store
        self._model = model
        self._index = index
        self._random_cosine = random_cosine
        self._known: dict[int, frozenset[int]] = {}

    def versions(self, ids: Iterable[int]) -> dict[int, frozenset[int]]:
        """The versions of each picture, itself not among them.

        Its nearest neighbours are looked at, and ever more of them as long as there are versions among the last.
        """
        wanted, known = list(ids), self._known
        new = self._look_for(row_id for row_id in wanted if row_id not in known)
        if len(known) + len(new) > _MOST_KEPT:
            self._known = {}
        self._known.update(new)
        return {row_id: new[row_id] if row_id in new else known[row_id] for row_id in wanted}

    def _look_for(self, ids: Iterable[int]) -> dict[int, frozenset[int]]:
        found: dict[int, set[int]] = {row_id: set() for row_id in ids}
        looked_at: dict[int, set[int]] = {row_id: {row_id} for row_id in found}
        vectors = self._vectors(found)
        pending, depth = [row_id for row_id in found if row_id in vectors], EMBEDDING_NEIGHBOURS
        while pending:
            searched = self._neighbours({row_id: vectors[row_id] for row_id in pending}, depth)
            near = {row_id: neighbours for row_id, (neighbours, _) in searched.items()}
            pairs = {(row_id, other) for row_id in pending for other in set(near[row_id]) - looked_at[row_id]}
            matching = self._of_one_photo(pairs)
            for row_id, other in matching:
                found[row_id].add(other)
            for row_id in pending:
                looked_at[row_id].update(near[row_id])
            with_more = {row_id for row_id, _ in matching}
            pending = [row_id for row_id in pending if row_id in with_more and searched[row_id][1]]
            depth *= 2
        return {row_id: frozenset(versions) for row_id, versions in found.items()}

    def _neighbours(self, vectors: Mapping[int, NDArray[np.float16]], depth: int) -> dict[int, tuple[list[int], bool]]:
        """Of each picture the nearest that are near enough to be versions, and whether there may be more of them."""
        queries = np.stack(list(vectors.values())).astype(np.float32)
        least = to_cosine(LEAST_SIMILARITY, self._random_cosine)
        near = [ids.tolist() for ids in _nearest_above(self._index, queries, least, depth + 1)]
        parts = self._store.parent_ids(sorted({other for row in near for other in row}))  # versions are whole pictures
        return {
            row_id: ([other for other in row if other != row_id and other not in parts], len(row) > depth)
            for row_id, row in zip(vectors, near, strict=True)
        }

    def _of_one_photo(self, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those pairs that show one photo."""
        ids = sorted({row_id for pair in pairs for row_id in pair})
        vectors, looks = self._vectors(ids), self._store.fingerprints_of(ids)
        row_of = {
            row_id: row for row, row_id in enumerate(other for other in ids if other in vectors and other in looks)
        }
        asked = [pair for pair in pairs if pair[0] in row_of and pair[1] in row_of]
        if not asked:
            return set()
        judge = PairVerifier(
            np.stack([vectors[row_id] for row_id in row_of]),
            stack_fingerprints([looks[row_id] for row_id in row_of]),
            np.ones((len(row_of), 2), np.int64),  # sizes only tell what is re-saved from what is edited
            random_cosine=self._random_cosine,
        )
        rows = np.sort(np.array([(row_of[one], row_of[other]) for one, other in asked], dtype=np.int64), axis=1)
        return {pair for pair, relation in zip(asked, judge.relations(rows).tolist(), strict=True) if relation != NONE}

    def _vectors(self, ids: Iterable[int]) -> dict[int, NDArray[np.float16]]:
        """The embeddings of those ids that the catalog holds."""
        wanted = np.array(sorted(ids), dtype=np.int64)
        found: dict[int, NDArray[np.float16]] = {}
        for row_ids, rows in self._store.embeddings(wanted, dim=self._model.dim):
            found.update(zip(row_ids.tolist(), rows, strict=True))
        return found


def _nearest_above(index: VectorIndex, queries: NDArray[np.float32], least: float, k: int) -> list[NDArray[np.int64]]:
    """Ids of the k nearest of each query, float32 [n, dim], with a cosine of at least `least`, best first.

    Of an exact index, hardly anything is that near: one matrix product a block finds it in a third of the time that
    keeping the k best of every query takes.
    """
    if not isinstance(index, FlatIndex):
        return [found.ids[found.scores >= least] for found in index.search_batch(queries, k)]
    parts: list[list[Neighbors]] = [[] for _ in queries]
    for ids, vectors in index.blocks():
        scores = queries @ vectors.T
        for part, row in zip(parts, scores, strict=True):
            places = np.flatnonzero(row >= least)
            if len(places):
                part.append(Neighbors(ids[places], row[places]))
    return [best(part, k).ids if part else np.empty(0, np.int64) for part in parts]


def group_versions(
    ranked: Iterable[int],
    finder: NearDuplicateFinder,
    *,
    wanted: int,
    within: NDArray[np.int64] | None = None,
    without: Collection[int] = (),
) -> Iterator[Group]:
    """Group results, best first: each that no better one claims is a group's first and claims its versions.

    Args:
        ranked: ids of their embeddings; no more of them are taken than the groups that are wanted need, and a few.
        finder: finds versions.
        wanted: how many groups will be asked for.
        within: ids of the embeddings that may answer, int64 [n], ascending; all of them by default.
        without: ids of those that may not.
    """
    left = iter(ranked)
    firsts: set[int] = set()
    claimed: set[int] = set(without)
    while some := list(islice(left, min(max(wanted - len(firsts), _FEWEST_AT_ONCE), _MOST_AT_ONCE))):
        versions = finder.versions(row_id for row_id in some if row_id not in claimed)
        for row_id in some:
            if row_id in claimed:
                continue
            firsts.add(row_id)
            own = _answering(versions[row_id], within) - claimed - firsts
            claimed |= own
            yield Group(row_id, tuple(sorted(own)))


def _answering(ids: Collection[int], within: NDArray[np.int64] | None) -> set[int]:
    """Those ids that may answer."""
    if within is None or not ids:
        return set(ids)
    asked = np.fromiter(ids, np.int64, len(ids))
    places = np.minimum(np.searchsorted(within, asked), len(within) - 1)
    return set(asked[within[places] == asked].tolist())
