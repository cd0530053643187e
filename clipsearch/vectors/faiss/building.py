"""Building an inverted file: choose its axes and lists, fill them, and measure how many a search has to look into.

Nothing here holds all vectors as floats: they are written to the file first and read from it as they are needed. What
is held is the 8-bit codes, at most half of what the float16 vectors take, and a sample of the vectors for the training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.vectors.faiss.files import IndexFile, IndexFileWriter, IndexStamp, replacing
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.io import Block, write_vectors
from clipsearch.vectors.faiss.ivf import PcaIvf, widest_axes
from clipsearch.vectors.faiss.ivf_index import Training, probe
from clipsearch.vectors.faiss.knn import nearest
from clipsearch.vectors.index import Neighbors
from clipsearch.vectors.tuning import ProbeSettings, TuningSet, sample_of

_SAMPLE = 20_000
"""Vectors by which axes are chosen."""

_SEED = 20

_ENERGIES = (0.8, 0.9, 0.95, 1.0)
"""Shares of the vectors' mean square that axes hold, which are tried one after the other."""

_RECALL_OF_AXES = 0.998
"""Share of the true neighbours that have to be candidates by the axes alone; the lists may lose a few more."""

_MORE_FOR_CODES = 32
"""Candidates beyond two for each neighbour in any case: 8 bits tell the nearest apart but for close calls."""

_MOST_PER_NEIGHBOR = 6
_MORE = 1000
"""Candidates that are tried for k neighbours: so many times k, and so many more. Ranking each takes a microsecond."""


def write_approximate(
    path: Path,
    stamp: IndexStamp,
    blocks: Iterable[Block],
    *,
    inverted: PcaIvf | None = None,
    training: Training | None = None,
) -> None:
    """Write vectors and an inverted file over them, in place of what is at `path`.

    Args:
        path: of the file.
        stamp: what they are; the count and details are added.
        blocks: the vectors, by ascending id.
        inverted: one that holds all of them already; one is made if it is not given.
        training: of `inverted`.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as writer:
        ids = write_vectors(writer, blocks, stamp.dim)
        writer.file.flush()
        stamp = replace(stamp, count=len(ids))
        # not a name of its own: a file that is mapped cannot be renamed on every system
        training = _write_lists(
            writer, FlatIndex.from_file(IndexFile(Path(writer.file.name), stamp, writer.sections)), inverted, training
        )
        writer.seal(replace(stamp, details=training.as_json()))


def _write_lists(
    writer: IndexFileWriter, base: FlatIndex, inverted: PcaIvf | None, training: Training | None
) -> Training:
    """Write the inverted file over vectors, and say how it is searched."""
    trials = TuningSet.of(base, lambda queries, k: nearest(base.blocks(), queries, k)[0])
    if inverted is None:
        axes, candidates = _chosen_axes(base, trials)
        inverted = PcaIvf.trained(base, axes)
        training = Training(len(base), inverted.imbalance, ())
    else:
        candidates = {k: count or _most_candidates(k) for k, count in _candidates(inverted.axes, base, trials).items()}
    assert training is not None, "an inverted file is given with its training"
    inverted.write(writer)

    def search(queries: NDArray[np.float32], k: int, *, lists: int) -> list[Neighbors]:
        how = ProbeSettings(k, lists, 0.0, candidates[k])
        return probe(inverted, base, queries, k, how=how, removed=np.empty(0, np.int64))

    probing = trials.tuned_lists(search, lists=inverted.lists.nlist)
    return replace(training, probing=tuple(replace(item, candidates=candidates[item.k]) for item in probing))


def _chosen_axes(base: FlatIndex, trials: TuningSet) -> tuple[NDArray[np.float32], dict[int, int]]:
    """The fewest axes by which the nearest are among the candidates, float32 [dim, axes], and how many these are."""
    sample = base.vectors(sample_of(base.ids(), _SAMPLE, np.random.default_rng(_SEED)))
    for energy in _ENERGIES:
        axes = widest_axes(sample, energy)
        candidates = _candidates(axes, base, trials)
        if all(candidates.values()):
            return axes, candidates
    raise AssertionError("along all axes the nearest are the nearest")


def _candidates(axes: NDArray[np.float32], base: FlatIndex, trials: TuningSet) -> dict[int, int]:
    """How many of the nearest along some axes hold `_RECALL_OF_AXES` of the true k nearest, by k; 0 if too many do."""
    if not trials.tuned_for:
        return {}
    most = {k: min(_most_candidates(k), len(base)) for k in trials.tuned_for}
    along = ((ids, vectors @ axes) for ids, vectors in base.blocks())
    _, found = nearest(along, trials.queries @ axes, max(most.values()))
    scores = np.stack([base.scores(ids, query) for ids, query in zip(found, trials.queries, strict=True)])
    counts = {}
    for k in trials.tuned_for:
        fewest = trials.fewest(scores[:, : most[k]], k, recall=_RECALL_OF_AXES)
        counts[k] = 0 if fewest is None else min(max(2 * k + _MORE_FOR_CODES, round(1.25 * fewest)), len(base))
    return counts


def _most_candidates(k: int) -> int:
    return _MOST_PER_NEIGHBOR * k + _MORE
