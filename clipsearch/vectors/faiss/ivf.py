"""An inverted file over the widest axes of the vectors: it finds candidates, which others rank by the vectors.

Vectors of models like CLIP are spread widely along some axes and hardly along others. Codes of the widest alone, which
hold most of what tells two of them apart, take a fraction of the time to compare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.system.blas import inner_products
from clipsearch.vectors.faiss.files import IndexFile, IndexFileError, IndexFileWriter
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.io import Block, read_faiss
from clipsearch.vectors.tuning import sample_of

_AXES_STEP = 16
"""Numbers of axes are multiples of it: so many components are compared at once."""

_VECTORS_PER_LIST = 39
"""Below so many a list's centroid says little (FAISS's own limit)."""

_TRAINED_PER_LIST = 40
_ROUNDS = 8
_SEED = 20


@dataclass(frozen=True)
class PcaIvf:
    """FAISS's inverted file over vectors along some axes, in 8-bit codes.

    Attributes:
        lists: FAISS's index of them.
        axes: float32 [dim, number of axes], orthonormal columns.
        mapped: the bytes that `lists` looks at, where it is memory-mapped.
    """

    lists: Any
    axes: NDArray[np.float32]
    mapped: NDArray[np.uint8] | None = None

    @classmethod
    def trained(cls, base: FlatIndex, axes: NDArray[np.float32]) -> PcaIvf:
        """One that holds the vectors of an index, its lists chosen by spherical k-means on a sample of them.

        Args:
            base: the vectors, at least one.
            axes: float32 [dim, number of axes], orthonormal columns.
        """
        import faiss

        lists = max(1, min(round(4 * math.sqrt(len(base))), len(base) // _VECTORS_PER_LIST))
        sample = base.vectors(sample_of(base.ids(), _TRAINED_PER_LIST * lists, np.random.default_rng(_SEED)))
        inverted = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(axes.shape[1]),
            axes.shape[1],
            lists,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
        )
        inverted.cp.spherical = True
        inverted.cp.niter = _ROUNDS
        inverted.cp.seed = _SEED
        inverted.cp.min_points_per_centroid = 1  # FAISS prints a warning where there are few
        inverted.train(sample @ axes)
        made = cls(inverted, axes)
        for block in base.blocks():
            made.add(block)
        return made

    @classmethod
    def from_file(cls, file: IndexFile) -> PcaIvf:
        """One that was written, memory-mapped.

        Raises:
            IndexFileError: it is damaged.
        """
        try:
            section = file.section("lists")
            axes = file.section("axes").view("<f4").reshape(file.stamp.dim, -1)
        except (KeyError, ValueError) as error:
            raise IndexFileError(f"its content is not what its stamp says: {error}") from error
        lists = read_faiss(section)
        if lists.ntotal != file.stamp.count or lists.d != axes.shape[1]:
            raise IndexFileError("its content is not what its stamp says")
        return cls(lists, axes, section)

    def copy(self) -> PcaIvf:
        """One in memory, that can be changed, of one that is memory-mapped."""
        assert self.mapped is not None, "it is a copy already"
        return PcaIvf(read_faiss(self.mapped, writable=True), self.axes)

    def write(self, writer: IndexFileWriter) -> None:
        """Write it as sections of a file."""
        import faiss

        with writer.section("axes") as file:
            file.write(np.ascontiguousarray(self.axes, "<f4").tobytes())
        with writer.section("lists") as file:
            faiss.write_index(self.lists, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]

    def __len__(self) -> int:
        """How many vectors it holds."""
        return int(self.lists.ntotal)

    @property
    def imbalance(self) -> float:
        """Of its lists: 1 when all are of one length."""
        return float(self.lists.invlists.imbalance_factor())

    def add(self, block: Block) -> None:
        """Add vectors under their ids; it must not be memory-mapped."""
        ids, vectors = block
        self.lists.add_with_ids(np.ascontiguousarray(vectors @ self.axes, np.float32), ids)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors, which it holds; it must not be memory-mapped."""
        import faiss

        if len(ids):
            self.lists.remove_ids(faiss.IDSelectorBatch(ids))

    def candidates(
        self, queries: NDArray[np.float32], count: int, *, lists: int, removed: NDArray[np.int64]
    ) -> list[NDArray[np.int64]]:
        """Vectors that may be the nearest to queries: the nearest along the axes that its nearest lists hold.

        Args:
            queries: float32 [n, dim].
            count: how many for each; fewer come back where the lists hold no more.
            lists: how many lists to look into.
            removed: ids to leave out, int64 [n].
        """
        import faiss

        options: dict[str, Any] = {"nprobe": min(lists, self.lists.nlist)}
        if len(removed):
            options["sel"] = faiss.IDSelectorNot(faiss.IDSelectorBatch(removed))
        # threads share the queries out, or the lists of the only one
        self.lists.parallel_mode = 0 if len(queries) > 1 else 1
        wanted = inner_products(queries, self.axes.T)
        _, found = self.lists.search(wanted, min(count, len(self)), params=faiss.SearchParametersIVF(**options))
        return [row[row >= 0] for row in found]  # FAISS pads with -1


def widest_axes(vectors: NDArray[np.float32], energy: float) -> NDArray[np.float32]:
    """The axes along which vectors reach farthest from 0, as principal component analysis without centering gives them.

    For inner products the mean counts, too.

    Args:
        vectors: float32 [n, dim].
        energy: share of their mean square that the axes hold at least, up to 1.

    Returns:
        Orthonormal columns, float32 [dim, number of axes], the widest first.
    """
    dim = vectors.shape[1]
    squares, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    held = np.cumsum(squares[::-1]) / squares.sum()
    enough = int(np.searchsorted(held, energy)) + 1
    kept = min(dim, math.ceil(enough / _AXES_STEP) * _AXES_STEP)
    return np.ascontiguousarray(axes[:, ::-1][:, :kept], np.float32)
