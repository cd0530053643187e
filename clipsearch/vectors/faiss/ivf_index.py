"""Approximate search: an inverted file finds candidates, which are reranked by the stored vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.files import IndexFile, IndexFileError
from clipsearch.vectors.faiss.flat_index import BLOCK, FlatIndex
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.faiss.ivf import PcaIvf
from clipsearch.vectors.id_sets import setdiff_sorted
from clipsearch.vectors.index import Neighbors, best, layered_vectors
from clipsearch.vectors.tuning import TARGET_RECALL, ProbeSettings

_MERGE_SHARE = 0.01
_MERGE_MINIMUM = 1000
"""Pending changes (share of the vectors, and minimum number) at which they are merged into the inverted file."""

_RETRAIN_GROWTH = 4.0
_RETRAIN_IMBALANCE = 1.5
"""Growth of the index and of its imbalance factor at which it is retrained."""


@dataclass(frozen=True)
class Training:
    """Training and search parameters of an inverted file.

    Attributes:
        vectors: number of vectors at training.
        imbalance: imbalance factor of the lists at training.
        probing: search parameters, by ascending k.
    """

    vectors: int
    imbalance: float
    probing: tuple[ProbeSettings, ...]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Training:
        """From the details of a file's stamp."""
        probing = tuple(ProbeSettings(**item) for item in content["probing"])
        return cls(content["vectors"], content["imbalance"], probing)


class IvfIndex:
    """A saved inverted file plus the later changes in memory.

    Unfiltered searches for up to as many neighbors as were tuned for probe the nearest lists and rerank the candidates
    by their float16 vectors. Searches for more neighbors and filtered searches are exact. Recent vectors are scanned.
    """

    def __init__(self, base: FlatIndex, inverted: PcaIvf, training: Training) -> None:
        """Combine the saved parts.

        Args:
            base: the vectors, memory-mapped.
            inverted: inverted file of the same ids, memory-mapped.
            training: training of `inverted`.
        """
        self.dim = base.dim
        self.training = training
        self._base = base
        self._inverted = inverted
        self._recent = FlatIndex(base.dim)
        self._removed = np.empty(0, np.int64)  # from the base, ascending

    @classmethod
    def from_file(cls, file: IndexFile) -> IvfIndex:
        """Open a saved index, memory-mapped.

        Raises:
            IndexFileError: the file is damaged.
        """
        try:
            training = Training.from_json(file.stamp.details)
        except (KeyError, TypeError) as error:
            raise IndexFileError(f"its stamp is of another version: {error!r}") from error
        return cls(FlatIndex.from_file(file), PcaIvf.from_file(file), training)

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self._base) - len(self._removed) + len(self._recent)

    def ids(self) -> NDArray[np.int64]:
        """All ids, int64 [n], ascending."""
        kept, recent = setdiff_sorted(self._base.ids(), self._removed), self._recent.ids()
        return np.insert(kept, np.searchsorted(kept, recent), recent) if len(recent) else kept

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors, in memory; see `VectorIndex.add`."""
        self._recent.add(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors, in memory; see `VectorIndex.remove`."""
        self._recent.remove(ids)
        self._removed = np.union1d(self._removed, np.intersect1d(ids, self._base.ids()))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors; see `VectorIndex.vectors`."""
        return layered_vectors(ids, self._base, self._recent)

    def search(self, query: NDArray[np.float32], k: int, *, within: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest; see `VectorIndex.search`."""
        if within is None and self._probing(k) is not None:
            return self.search_batch(query[None], k)[0]
        if within is not None or len(self._removed):
            remaining = setdiff_sorted(self._base.ids() if within is None else within, self._removed)
            saved = self._base.search(query, k, within=remaining)
        else:
            saved = self._base.search(query, k)
        return best([saved, self._recent.search(query, k, within=within)], k)

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[Neighbors]:
        """The k nearest of each query; see `VectorIndex.search_batch`."""
        probing = self._probing(k)
        if probing is None:
            return [self.search(query, k) for query in queries]
        saved = probe(self._inverted, self._base, queries, k, settings=probing, removed=self._removed)
        recent = self._recent.search_batch(queries, k)
        return [best(list(parts), k) for parts in zip(saved, recent, strict=True)]

    def _probing(self, k: int) -> ProbeSettings | None:
        return next((item for item in self.training.probing if item.k >= k), None)

    def blocks(self) -> Iterator[Block]:
        """All vectors, by ascending id."""
        ids = self.ids()
        for start in range(0, len(ids), BLOCK):
            yield ids[start : start + BLOCK], self.vectors(ids[start : start + BLOCK])

    # --- changes since it was saved ---------------------------------------------------------------

    def recent(self) -> tuple[FlatIndex, NDArray[np.int64]]:
        """The added vectors, and the removed ids, int64 [n], ascending."""
        return self._recent, self._removed

    def restore_recent(self, recent: FlatIndex, removed: NDArray[np.int64]) -> None:
        """Restore the changes that `recent` returned."""
        self._recent, self._removed = recent, removed

    def is_to_be_merged(self) -> bool:
        """Whether the pending changes should be merged into the inverted file."""
        changed = len(self._recent) + len(self._removed)
        return changed > max(_MERGE_MINIMUM, _MERGE_SHARE * len(self._base))

    def has_drifted(self) -> bool:
        """Whether the index should be retrained."""
        return (
            len(self) > _RETRAIN_GROWTH * self.training.vectors
            or self._inverted.imbalance > _RETRAIN_IMBALANCE * self.training.imbalance
            or any(item.recall < TARGET_RECALL for item in self.training.probing)
        )

    def merged(self) -> PcaIvf:
        """A copy of the inverted file, in memory, with the changes merged."""
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
    settings: ProbeSettings,
    removed: NDArray[np.int64],
) -> list[Neighbors]:
    """Probe the nearest lists of an inverted file and rerank the candidates by the stored vectors.

    Args:
        inverted: inverted file of the vectors.
        base: the vectors.
        queries: float32 [n, dim].
        k: number of neighbors.
        settings: number of lists and candidates.
        removed: ids to exclude, int64 [m].
    """
    candidates = inverted.candidates(queries, settings.candidates, lists=settings.lists, removed=removed)
    sorted_ids = [np.sort(ids) for ids in candidates]  # sorted ids are looked up faster
    return [best([Neighbors(ids, base.scores(ids, query))], k) for query, ids in zip(queries, sorted_ids, strict=True)]
