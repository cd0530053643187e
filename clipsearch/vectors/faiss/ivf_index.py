"""Approximate search over many vectors: an inverted file finds candidates, and the vectors themselves rank them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.files import IndexFile, IndexFileError
from clipsearch.vectors.faiss.flat_index import BLOCK, FlatIndex
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.faiss.ivf import PcaIvf
from clipsearch.vectors.id_sets import setdiff_sorted
from clipsearch.vectors.index import Neighbors, best
from clipsearch.vectors.tuning import TARGET_RECALL, ProbeSettings

_MOST_RECENT = 0.01
"""Share of the vectors that may be added and removed beside the inverted file before it takes them in."""

_FEWEST_RECENT = 1000
"""So many may be in any case."""

_GROWTH = 4.0
"""Times its size when it was trained at which an inverted file is trained again."""

_IMBALANCE = 1.5
"""Times the imbalance of its lists when it was trained at which an inverted file is trained again."""


@dataclass(frozen=True)
class Training:
    """What an inverted file was trained on, and how it is searched.

    Attributes:
        vectors: how many there were when its lists were chosen.
        imbalance: of its lists then: 1 when all are of one length.
        probing: by ascending k.
    """

    vectors: int
    imbalance: float
    probing: tuple[ProbeSettings, ...]

    def as_json(self) -> dict[str, Any]:
        """For the stamp of a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Training:
        """From the stamp of a file."""
        probing = tuple(ProbeSettings(**item) for item in content["probing"])
        return cls(content["vectors"], content["imbalance"], probing)


class IvfIndex:
    """An inverted file that stays as it was saved, and beside it what was added and removed since.

    Unfiltered searches for up to as many neighbours as were tuned for look into the nearest lists, whose 8-bit codes
    give candidates; these are ranked by their float16 vectors, which lie in the same file. Everything else is exact:
    more neighbours, and any search inside a filter, where the nearest may lie in any list. Recent vectors are scanned.
    """

    def __init__(self, base: FlatIndex, inverted: PcaIvf, training: Training) -> None:
        """Put together what was saved.

        Args:
            base: the vectors, memory-mapped.
            inverted: holds them, by the same ids, memory-mapped.
            training: of `inverted`.
        """
        self.dim = base.dim
        self.training = training
        self._base = base
        self._inverted = inverted
        self._recent = FlatIndex(base.dim)
        self._removed = np.empty(0, np.int64)  # from the base, ascending

    @classmethod
    def from_file(cls, file: IndexFile) -> IvfIndex:
        """A saved index, memory-mapped.

        Raises:
            IndexFileError: it is damaged.
        """
        try:
            training = Training.from_json(file.stamp.details)
        except (KeyError, TypeError) as error:
            raise IndexFileError(f"its stamp is not of this version: {error!r}") from error
        return cls(FlatIndex.from_file(file), PcaIvf.from_file(file), training)

    def __len__(self) -> int:
        """How many vectors it holds."""
        return len(self._base) - len(self._removed) + len(self._recent)

    def ids(self) -> NDArray[np.int64]:
        """The ids it holds, int64 [n], ascending."""
        kept, recent = setdiff_sorted(self._base.ids(), self._removed), self._recent.ids()
        return np.insert(kept, np.searchsorted(kept, recent), recent) if len(recent) else kept

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, floating [n, dim], under ids, int64 [n], beside the inverted file."""
        self._recent.add(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove the vectors with these ids, int64 [n]; unknown ids are passed over."""
        self._recent.remove(ids)
        self._removed = np.union1d(self._removed, np.intersect1d(ids, self._base.ids()))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some of its ids, int64 [n]: exactly as stored, float32 [n, dim]."""
        recent = np.isin(ids, self._recent.ids())
        found = np.empty((len(ids), self.dim), np.float32)
        found[recent] = self._recent.vectors(ids[recent])
        found[~recent] = self._base.vectors(ids[~recent])
        return found

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k vectors nearest to a query, float32 [dim]; see `VectorIndex.search`."""
        probing = next((item for item in self.training.probing if item.k >= k), None)
        if within is None and probing is not None:
            return self.search_batch(query[None], k)[0]
        if within is not None or len(self._removed):
            kept = setdiff_sorted(self._base.ids() if within is None else within, self._removed)
            found = self._base.search(query, k, within=kept)
        else:
            found = self._base.search(query, k)
        return best([found, self._recent.search(query, k, within=within)], k)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k vectors nearest to each of several queries, float32 [n, dim]."""
        probing = next((item for item in self.training.probing if item.k >= k), None)
        if probing is None:
            return [self.search(query, k) for query in queries]
        found = probe(self._inverted, self._base, queries, k, how=probing, removed=self._removed)
        recent = self._recent.search_batch(queries, k)
        return [best(list(parts), k) for parts in zip(found, recent, strict=True)]

    def blocks(self) -> Iterator[Block]:
        """All it holds, by ascending id."""
        ids = self.ids()
        for start in range(0, len(ids), BLOCK):
            yield ids[start : start + BLOCK], self.vectors(ids[start : start + BLOCK])

    # --- what was added and removed since it was saved --------------------------------------------

    def recent(self) -> tuple[FlatIndex, NDArray[np.int64]]:
        """What was added, and the ids of what was removed, int64 [n], ascending."""
        return self._recent, self._removed

    def restore_recent(self, recent: FlatIndex, removed: NDArray[np.int64]) -> None:
        """Take what `recent` gave."""
        self._recent, self._removed = recent, removed

    def is_to_be_merged(self) -> bool:
        """Whether so much was added and removed that the inverted file should take it in."""
        changed = len(self._recent) + len(self._removed)
        return changed > max(_FEWEST_RECENT, _MOST_RECENT * len(self._base))

    def has_drifted(self) -> bool:
        """Whether the lists and axes no longer suit the vectors, so that they should be chosen anew."""
        return (
            len(self) > _GROWTH * self.training.vectors
            or self._inverted.imbalance > _IMBALANCE * self.training.imbalance
            or any(item.recall < TARGET_RECALL for item in self.training.probing)
        )

    def merged(self) -> PcaIvf:
        """A copy of the inverted file, in memory, that has taken in what was added and removed."""
        inverted = self._inverted.copy()
        inverted.remove(self._removed)
        for block in self._recent.blocks():
            inverted.add(block)
        return inverted


def probe(
    inverted: PcaIvf,
    base: FlatIndex,
    queries: NDArray[np.float32],
    k: int,
    *,
    how: ProbeSettings,
    removed: NDArray[np.int64],
) -> list[Neighbors]:
    """Search the nearest lists of an inverted file, and rank what is found by the vectors themselves.

    Args:
        inverted: holds the vectors.
        base: the vectors.
        queries: float32 [n, dim].
        k: how many neighbours.
        how: how many lists to look into, and how many candidates to rank.
        removed: ids to leave out.
    """
    found = inverted.candidates(queries, how.candidates, lists=how.lists, removed=removed)
    return [ranked(base, query, ids, k) for query, ids in zip(queries, found, strict=True)]


def ranked(base: FlatIndex, query: NDArray[np.float32], ids: NDArray[np.int64], k: int) -> Neighbors:
    """The k nearest to a query, float32 [dim], of some vectors, by ids, int64 [n]."""
    ids = np.sort(ids)  # which are found faster
    return best([Neighbors(ids, base.scores(ids, query))], k)
