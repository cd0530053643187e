"""Building an inverted file: choose PCA axes, train and fill the lists, and tune the search parameters.

The vectors are written to the file first and read from it in blocks. Memory holds only the 8-bit codes, at most half
the size of the float16 vectors, and a training sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.files import IndexFile, IndexFileWriter, IndexStamp, replacing
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.io import Block, write_vectors
from clipsearch.vectors.faiss.ivf import PcaIvf, pca_axes
from clipsearch.vectors.faiss.ivf_index import Training, probe
from clipsearch.vectors.faiss.knn import nearest
from clipsearch.vectors.index import Neighbors
from clipsearch.vectors.tuning import ProbeSettings, TuningSet, sample_of

_SAMPLE = 20_000
"""Sample size for choosing the axes."""

_SEED = 20

_ENERGIES = (0.8, 0.9, 0.95, 1.0)
"""Energies (shares of the mean square) of the PCA axes to try, in order."""

_RECALL_OF_AXES = 0.998
"""Required recall of the candidates by the axes alone; probing a part of the lists costs a little more."""

_EXTRA_CANDIDATES = 32
"""Minimum number of candidates is 2 k plus this, because 8-bit codes confuse close neighbors."""

_MAX_PER_NEIGHBOR = 6
_MAX_EXTRA = 1000
"""Maximum number of candidates is this factor times k plus this; reranking takes a microsecond each."""


def write_approximate(
    path: Path,
    stamp: IndexStamp,
    blocks: Iterable[Block],
    *,
    inverted: PcaIvf | None = None,
    training: Training | None = None,
) -> None:
    """Write vectors and an inverted file over them, replacing the file at `path`.

    Args:
        path: of the file.
        stamp: its stamp; count and details are filled in.
        blocks: the vectors, by ascending id.
        inverted: an existing inverted file of these vectors; trained if not given.
        training: training of `inverted`.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as writer:
        ids = write_vectors(writer, blocks, stamp.dim)
        writer.file.flush()
        stamp = replace(stamp, count=len(ids))
        # not a variable: some systems cannot rename a file that is still mapped
        training = _write_lists(
            writer, FlatIndex.from_file(IndexFile(Path(writer.file.name), stamp, writer.sections)), inverted, training
        )
        writer.seal(replace(stamp, details=asdict(training)))


def _write_lists(
    writer: IndexFileWriter, base: FlatIndex, inverted: PcaIvf | None, training: Training | None
) -> Training:
    """Write the inverted file of `base` and tune its search parameters."""
    tuning = TuningSet.of(base, lambda queries, k: nearest(base.blocks(), queries, k)[0])
    if inverted is None:
        axes, candidates = _choose_axes(base, tuning)
        inverted = PcaIvf.trained(base, axes)
        training = Training(len(base), inverted.imbalance, ())
    else:
        candidates = {k: count or _max_candidates(k) for k, count in _candidates(inverted.axes, base, tuning).items()}
    assert training is not None, "`inverted` needs its training"
    inverted.write(writer)

    def search(queries: NDArray[np.float32], k: int, *, lists: int) -> list[Neighbors]:
        settings = ProbeSettings(k, lists, 0.0, candidates[k])
        return probe(inverted, base, queries, k, settings=settings, removed=np.empty(0, np.int64))

    probing = tuning.tuned_lists(search, lists=inverted.lists.nlist)
    return replace(training, probing=tuple(replace(item, candidates=candidates[item.k]) for item in probing))


def _choose_axes(base: FlatIndex, tuning: TuningSet) -> tuple[NDArray[np.float32], dict[int, int]]:
    """The fewest axes with sufficient recall, float32 [dim, axes], and the number of candidates they need by k."""
    sample = base.vectors(sample_of(base.ids(), _SAMPLE, np.random.default_rng(_SEED)))
    for energy in _ENERGIES:
        axes = pca_axes(sample, energy)
        candidates = _candidates(axes, base, tuning)
        if all(candidates.values()):
            return axes, candidates
    raise AssertionError("all axes together have recall 1")


def _candidates(axes: NDArray[np.float32], base: FlatIndex, tuning: TuningSet) -> dict[int, int]:
    """Number of candidates along the axes that reaches `_RECALL_OF_AXES`, by k; 0 if the maximum does not."""
    if not tuning.tuned_for:
        return {}
    limits = {k: min(_max_candidates(k), len(base)) for k in tuning.tuned_for}
    projected = ((ids, vectors @ axes) for ids, vectors in base.blocks())
    _, neighbors = nearest(projected, tuning.queries @ axes, max(limits.values()))
    scores = np.stack([base.scores(ids, query) for ids, query in zip(neighbors, tuning.queries, strict=True)])
    counts = {}
    for k in tuning.tuned_for:
        fewest = tuning.fewest(scores[:, : limits[k]], k, recall=_RECALL_OF_AXES)
        counts[k] = 0 if fewest is None else min(max(2 * k + _EXTRA_CANDIDATES, round(1.25 * fewest)), len(base))
    return counts


def _max_candidates(k: int) -> int:
    return _MAX_PER_NEIGHBOR * k + _MAX_EXTRA
