"""An inverted file over the principal axes of the vectors, which finds candidates for reranking.

The variance of CLIP embeddings is concentrated in few axes. Codes of these axes alone are much faster to compare.
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
"""The number of axes is a multiple of the SIMD width."""

_VECTORS_PER_LIST = 39
"""Minimum number of vectors per list (FAISS's own limit)."""

_TRAINED_PER_LIST = 40
_ROUNDS = 8
_SEED = 20


@dataclass(frozen=True)
class PcaIvf:
    """A FAISS IVF index of 8-bit codes along PCA axes.

    Attributes:
        lists: the FAISS index.
        axes: float32 [dim, number of axes], orthonormal columns.
        mapped: the bytes `lists` reads, if it is memory-mapped.
    """

    lists: Any
    axes: NDArray[np.float32]
    mapped: NDArray[np.uint8] | None = None

    @classmethod
    def trained(cls, base: FlatIndex, axes: NDArray[np.float32]) -> PcaIvf:
        """Train on a sample of the vectors (spherical k-means) and add all of them.

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
        """Open a saved inverted file, memory-mapped.

        Raises:
            IndexFileError: the file is damaged.
        """
        try:
            section = file.section("lists")
            axes = file.section("axes").view("<f4").reshape(file.stamp.dim, -1)
        except (KeyError, ValueError) as error:
            raise IndexFileError(f"its content does not match its stamp: {error}") from error
        lists = read_faiss(section)
        if lists.ntotal != file.stamp.count or lists.d != axes.shape[1]:
            raise IndexFileError("its content does not match its stamp")
        return cls(lists, axes, section)

    def copy(self) -> PcaIvf:
        """A writable copy, in memory, of a memory-mapped inverted file."""
        assert self.mapped is not None, "only a memory-mapped inverted file is copied"
        return PcaIvf(read_faiss(self.mapped, writable=True), self.axes)

    def write(self, writer: IndexFileWriter) -> None:
        """Write the sections of a file."""
        import faiss

        with writer.section("axes") as file:
            file.write(np.ascontiguousarray(self.axes, "<f4").tobytes())
        with writer.section("lists") as file:
            faiss.write_index(self.lists, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]

    def __len__(self) -> int:
        """Number of vectors."""
        return int(self.lists.ntotal)

    @property
    def imbalance(self) -> float:
        """FAISS's imbalance factor of the lists: 1 if all have the same length."""
        return float(self.lists.invlists.imbalance_factor())

    def add(self, block: Block) -> None:
        """Add vectors by id; the inverted file must be in memory."""
        ids, vectors = block
        self.lists.add_with_ids(np.ascontiguousarray(vectors @ self.axes, np.float32), ids)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove known ids, int64 [n]; the inverted file must be in memory."""
        import faiss

        if len(ids):
            self.lists.remove_ids(faiss.IDSelectorBatch(ids))

    def candidates(
        self, queries: NDArray[np.float32], count: int, *, lists: int, removed: NDArray[np.int64]
    ) -> list[NDArray[np.int64]]:
        """Ids of the candidates of each query: the nearest along the axes in the probed lists.

        Args:
            queries: float32 [n, dim].
            count: candidates per query; fewer if the lists have fewer.
            lists: number of lists to probe (nprobe).
            removed: ids to exclude, int64 [m].
        """
        import faiss

        options: dict[str, Any] = {"nprobe": min(lists, self.lists.nlist)}
        if len(removed):
            options["sel"] = faiss.IDSelectorNot(faiss.IDSelectorBatch(removed))
        # parallel over queries, or over the lists of a single query
        self.lists.parallel_mode = 0 if len(queries) > 1 else 1
        projected = inner_products(queries, self.axes.T)
        _, ids = self.lists.search(projected, min(count, len(self)), params=faiss.SearchParametersIVF(**options))
        return [row[row >= 0] for row in ids]  # FAISS pads with -1


def pca_axes(vectors: NDArray[np.float32], energy: float) -> NDArray[np.float32]:
    """Principal axes of vectors, without centering, because the mean contributes to inner products.

    Args:
        vectors: float32 [n, dim].
        energy: minimum share of the mean square along the axes, 0–1.

    Returns:
        Orthonormal columns, float32 [dim, number of axes], by descending variance.
    """
    dim = vectors.shape[1]
    squares, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    energies = np.cumsum(squares[::-1]) / squares.sum()
    enough = int(np.searchsorted(energies, energy)) + 1
    count = min(dim, math.ceil(enough / _AXES_STEP) * _AXES_STEP)
    return np.ascontiguousarray(axes[:, ::-1][:, :count], np.float32)
