"""Group search results: one result for all versions of a photo.

Versions are near-duplicates as in `clipsearch.retrieval.duplicates`, restricted to neighbors in embedding space:
re-saved, resized, lightly cropped and edited pictures, and flipped or rotated ones if their embeddings are similar. A
picture's versions do not depend on the number of results requested, so pages of grouped results are consistent.
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
from clipsearch.vectors.id_sets import intersect_sorted
from clipsearch.vectors.index import Neighbors, best

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.vectors.index import VectorIndex

_MIN_BATCH, _MAX_BATCH = 16, 256
"""Pictures whose versions are searched in one pass over the index."""

_MAX_CACHED = 20_000
"""Pictures whose versions are cached: a few megabytes."""


@dataclass(frozen=True)
class Group:
    """Embedding ids of a picture and of its other versions."""

    first: int
    versions: tuple[int, ...]


class NearDuplicateFinder:
    """Finds and caches the versions of pictures in a library at one revision."""

    def __init__(self, store: Catalog, model: ModelRecord, index: VectorIndex, *, random_cosine: float) -> None:
        """Bind the parts.

        Args:
            store: the catalog.
            model: the model of the embeddings.
            index: their vector index.
            random_cosine: `clipsearch.retrieval.duplicates.verification.mean_cosine` of the library.
        """
        self._store = store
        self._model = model
        self._index = index
        self._random_cosine = random_cosine
        self._cache: dict[int, frozenset[int]] = {}

    def versions(self, ids: Iterable[int]) -> dict[int, frozenset[int]]:
        """The other versions of each picture."""
        requested, cached = list(ids), self._cache
        new = self._search(row_id for row_id in requested if row_id not in cached)
        if len(cached) + len(new) > _MAX_CACHED:
            self._cache = {}
        self._cache.update(new)
        return {row_id: new[row_id] if row_id in new else cached[row_id] for row_id in requested}

    def _search(self, ids: Iterable[int]) -> dict[int, frozenset[int]]:
        """Search neighbors, doubling the depth while the last ones include versions."""
        versions: dict[int, set[int]] = {row_id: set() for row_id in ids}
        compared: dict[int, set[int]] = {row_id: {row_id} for row_id in versions}
        vectors = self._vectors(versions)
        pending, depth = [row_id for row_id in versions if row_id in vectors], EMBEDDING_NEIGHBOURS
        while pending:
            searched = self._neighbors({row_id: vectors[row_id] for row_id in pending}, depth)
            near = {row_id: neighbors for row_id, (neighbors, _) in searched.items()}
            pairs = {(row_id, other) for row_id in pending for other in set(near[row_id]) - compared[row_id]}
            matching = self._of_one_photo(pairs)
            for row_id, other in matching:
                versions[row_id].add(other)
            for row_id in pending:
                compared[row_id].update(near[row_id])
            with_more = {row_id for row_id, _ in matching}
            pending = [row_id for row_id in pending if row_id in with_more and searched[row_id][1]]
            depth *= 2
        return {row_id: frozenset(others) for row_id, others in versions.items()}

    def _neighbors(self, vectors: Mapping[int, NDArray[np.float16]], depth: int) -> dict[int, tuple[list[int], bool]]:
        """For each picture the neighbors close enough to be versions, and whether there may be more."""
        queries = np.stack(list(vectors.values())).astype(np.float32)
        min_cosine = to_cosine(LEAST_SIMILARITY, self._random_cosine)
        near = [ids.tolist() for ids in _nearest_above(self._index, queries, min_cosine, depth + 1)]
        parts = self._store.parent_ids(sorted({other for row in near for other in row}))  # versions are whole pictures
        return {
            row_id: ([other for other in row if other != row_id and other not in parts], len(row) > depth)
            for row_id, row in zip(vectors, near, strict=True)
        }

    def _of_one_photo(self, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
        """The pairs whose pictures are versions of one photo."""
        ids = sorted({row_id for pair in pairs for row_id in pair})
        vectors, fingerprints = self._vectors(ids), self._store.fingerprints_of(ids)
        durations = self._store.durations_of(ids)
        row_of = {
            row_id: row
            for row, row_id in enumerate(other for other in ids if other in vectors and other in fingerprints)
        }
        comparable = [pair for pair in pairs if pair[0] in row_of and pair[1] in row_of]
        if not comparable:
            return set()
        verifier = PairVerifier(
            np.stack([vectors[row_id] for row_id in row_of]),
            stack_fingerprints([fingerprints[row_id] for row_id in row_of]),
            np.ones((len(row_of), 2), np.int64),  # sizes only distinguish re-saved from edited
            durations_ms=[durations.get(row_id) for row_id in row_of],
            random_cosine=self._random_cosine,
        )
        rows = np.sort(np.array([(row_of[one], row_of[other]) for one, other in comparable], dtype=np.int64), axis=1)
        return {
            pair
            for pair, relation in zip(comparable, verifier.relations(rows).tolist(), strict=True)
            if relation != NONE
        }

    def _vectors(self, ids: Iterable[int]) -> dict[int, NDArray[np.float16]]:
        """The embeddings that are in the catalog, float16 [dim] each, by id."""
        vectors: dict[int, NDArray[np.float16]] = {}
        for row_ids, rows in self._store.embeddings(np.array(sorted(ids), dtype=np.int64), dim=self._model.dim):
            vectors.update(zip(row_ids.tolist(), rows, strict=True))
        return vectors


def _nearest_above(
    index: VectorIndex, queries: NDArray[np.float32], min_cosine: float, k: int
) -> list[NDArray[np.int64]]:
    """Ids of the k nearest neighbors of each query, float32 [n, dim], with a cosine of at least `min_cosine`.

    Few vectors of a flat index pass: thresholding one matrix product a block takes a third of the time of a top-k.
    """
    if not isinstance(index, FlatIndex):
        return [nearest.ids[nearest.scores >= min_cosine] for nearest in index.search_batch(queries, k)]
    parts: list[list[Neighbors]] = [[] for _ in queries]
    for ids, vectors in index.blocks():
        scores = queries @ vectors.T
        for part, row in zip(parts, scores, strict=True):
            columns = np.flatnonzero(row >= min_cosine)
            if len(columns):
                part.append(Neighbors(ids[columns], row[columns]))
    return [best(part, k).ids if part else np.empty(0, np.int64) for part in parts]


def group_versions(
    ranked: Iterable[int],
    finder: NearDuplicateFinder,
    *,
    count: int,
    within: NDArray[np.int64] | None = None,
    excluded: Collection[int] = (),
) -> Iterator[Group]:
    """Group results, best first: a result that is in no earlier group starts one, with its versions.

    Args:
        ranked: embedding ids of the results; consumed lazily, a batch ahead.
        finder: finds versions.
        count: expected number of groups; sets the size of batches.
        within: ids of the embeddings that pass the filter, int64 [n], ascending; all by default.
        excluded: ids that are in no group.
    """
    remaining = iter(ranked)
    firsts: set[int] = set()
    claimed: set[int] = set(excluded)
    while batch := list(islice(remaining, min(max(count - len(firsts), _MIN_BATCH), _MAX_BATCH))):
        versions = finder.versions(row_id for row_id in batch if row_id not in claimed)
        for row_id in batch:
            if row_id in claimed:
                continue
            firsts.add(row_id)
            others = _passing(versions[row_id], within) - claimed - firsts
            claimed |= others
            yield Group(row_id, tuple(sorted(others)))


def _passing(ids: Collection[int], within: NDArray[np.int64] | None) -> set[int]:
    if within is None or not ids:
        return set(ids)
    return set(intersect_sorted(np.array(sorted(ids), np.int64), within).tolist())
