"""One result for all versions of a photo: each result claims its versions, which then are no results of their own.

Versions are what `clipsearch.duplicates` calls duplicates, as far as the embedding brings them together: re-saved,
resized, lightly cropped and edited pictures, and mirrored or turned ones unless the model finds them too different.
Which those are depends on the picture and the library alone, not on how many results are asked for, so that pages of
grouped results fit together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.duplicates.candidates import EMBEDDING_NEIGHBOURS
from clipsearch.duplicates.judge import LEAST_SIMILARITY, NONE, PairJudge, to_cosine
from clipsearch.perceptual_hash import stack_fingerprints
from clipsearch.store.records import ModelRecord

if TYPE_CHECKING:
    from clipsearch.store.image_store import ImageStore
    from clipsearch.vectors.interface import VectorIndex

_AT_ONCE = 16
"""Pictures whose versions are looked for together: aligning is quicker for many, and the last of them are in vain."""


@dataclass(frozen=True)
class Group:
    """A picture and its further versions, as ids of their embeddings."""

    first: int
    versions: tuple[int, ...]


class VersionFinder:
    """Finds the versions of pictures among all pictures that may answer a query."""

    def __init__(
        self,
        store: ImageStore,
        model: ModelRecord,
        index: VectorIndex,
        *,
        random_cosine: float,
        within: NDArray[np.int64] | None = None,
        without: Collection[int] = (),
    ) -> None:
        """Bind the pictures.

        Args:
            store: the catalog.
            model: whose embeddings.
            index: of these.
            random_cosine: `clipsearch.duplicates.judge.mean_cosine` of the library.
            within: ids of the embeddings that may answer, int64 [n]; all of them by default.
            without: ids of those that may not.
        """
        self._store = store
        self._model = model
        self._index = index
        self._random_cosine = random_cosine
        self._within = within
        self._without = frozenset(without)

    def versions(self, ids: Iterable[int]) -> dict[int, set[int]]:
        """The versions of each picture, itself not among them.

        Its nearest neighbours are looked at, and ever more of them as long as there are versions among the last.
        """
        found: dict[int, set[int]] = {row_id: set() for row_id in ids}
        looked_at: dict[int, set[int]] = {row_id: {row_id} for row_id in found}
        vectors = self._vectors(found)
        pending, depth = [row_id for row_id in found if row_id in vectors], EMBEDDING_NEIGHBOURS
        while pending:
            searched = {row_id: self._neighbours(row_id, vectors[row_id], depth) for row_id in pending}
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
        return found

    def _neighbours(self, row_id: int, vector: NDArray[np.float16], depth: int) -> tuple[list[int], bool]:
        """The nearest that are near enough to be versions, `depth` or fewer; and whether there may be more."""
        wanted = depth + 1 + len(self._without)
        found = self._index.search(vector.astype(np.float32), wanted, within=self._within)
        near = found.ids[found.scores >= to_cosine(LEAST_SIMILARITY, self._random_cosine)].tolist()
        parts = self._store.wholes_of(near)  # versions are of whole pictures
        others = [other for other in near if other != row_id and other not in self._without and other not in parts]
        return others[:depth], len(near) == wanted or len(others) > depth

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
        judge = PairJudge(
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


def group_versions(ranked: Iterable[int], finder: VersionFinder) -> Iterator[Group]:
    """Group results, best first: each that no better one claims is a group's first and claims its versions.

    Args:
        ranked: ids of their embeddings; no more of them are taken than the groups that are wanted need, and a few.
        finder: finds versions.
    """
    firsts: set[int] = set()
    claimed: set[int] = set()
    for some in _portions(ranked):
        versions = finder.versions(row_id for row_id in some if row_id not in claimed)
        for row_id in some:
            if row_id in claimed:
                continue
            firsts.add(row_id)
            own = versions[row_id] - claimed - firsts
            claimed |= own
            yield Group(row_id, tuple(sorted(own)))


def _portions(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    portion: list[int] = []
    for row_id in ids:
        portion.append(row_id)
        if len(portion) == _AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion
