"""Few-shot evaluation: probes of a few labels per class and of all labels, against zero-shot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError
from clipsearch.evaluation.embedding import BATCH, Progress
from clipsearch.evaluation.few_shot_curve import SHOTS, FewShotCurve, few_shot_curve
from clipsearch.evaluation.labels import LabeledImages, embed_labeled
from clipsearch.evaluation.measurements import Measurement
from clipsearch.evaluation.report import Contrast, EvaluationReport
from clipsearch.labeling.zero_shot import DEFAULT_TEMPLATES, class_embeddings
from clipsearch.metrics import first_relevant_ranks
from clipsearch.models.encoder import Encoder, FloatMatrix

ZERO_SHOT, BLENDED, PROBE = "zero-shot", "blended probe", "linear probe"

LINEAR_PROBE, ZERO_SHOT_ALL = "linear probe, all labels", "zero-shot, same pictures"

FEWEST_DRAWS = 2

_FOLDS, _INNER_FOLDS = 5, 3
_REGULARISATIONS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Candidate values of C for the linear probe."""


@dataclass(frozen=True, kw_only=True)
class FewShotReport(EvaluationReport):
    """Accuracy by number of shots, a value per draw, and of a probe of all labels, a value per image.

    Attributes:
        shots: numbers of labeled images per class.
        draws: number of draws.
        classes: names of the classes with enough images for the curve.
    """

    task: ClassVar[str] = "few-shot"
    resampled: ClassVar[str] = "draws (all labels: images)"
    zero_shot_name: ClassVar[str] = ZERO_SHOT
    shots: tuple[int, ...]
    draws: int
    classes: tuple[str, ...]

    def curves(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the measurements of each curve, by number of shots."""
        return {way: tuple(_named(way, count) for count in self.shots) for way in (BLENDED, PROBE)}

    def details(self) -> Mapping[str, Any]:
        """Shots, draws and classes."""
        return {"shots": list(self.shots), "draws": self.draws, "classes": list(self.classes)}


def evaluate_few_shot(
    encoder: Encoder,
    labels: Path,
    images: Path,
    *,
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    shots: Sequence[int] = SHOTS,
    draws: int = 10,
    seed: int = 0,
    split: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> FewShotReport:
    """Measure few-shot curves and a linear probe.

    The training images are drawn several times; all other images of the same classes are tested, and accuracy is
    averaged over classes. Intervals of the curves are over draws. The linear probe of all labels is cross-validated in
    five folds, with the penalty chosen by nested cross-validation.

    Args:
        encoder: the model.
        labels: a table as for `evaluate_labels`; images with several labels are skipped.
        images: the image folder.
        templates: prompt templates of the class names.
        shots: numbers of labeled images per class.
        draws: number of draws.
        seed: seed of draws and folds.
        split: use only the rows of this split.
        batch_size: images per batch.
        progress: progress callback.

    Raises:
        ConfigError: as `evaluate_labels`, or the classes have too few images.
        ModelError: the model fails.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", sections
    3.1.5 and 3.2.
    """
    if draws < FEWEST_DRAWS:
        raise ConfigError(f"at least {FEWEST_DRAWS} draws are needed, not {draws}")
    started = time.perf_counter()
    labeled = embed_labeled(encoder, labels, images, split=split, batch_size=batch_size, progress=progress)
    embeddings, classes = _with_one_label(labeled)
    names = class_embeddings(encoder, labeled.names, templates)
    with _one_thread():
        curves = []
        for draw in range(draws):  # separately, because intervals are over draws
            curves.append(few_shot_curve(embeddings, classes, names, shots=shots, repeats=1, seed=seed * draws + draw))
            if progress is not None:
                progress("few-shot draws", draw + 1, draws)
        of_all_labels = _of_all_labels(embeddings, classes, names, seed=seed)
    counts = tuple(point.shots for point in curves[0].points)
    return FewShotReport(
        model=encoder.spec,
        queries=curves[0].tested,
        images=len(embeddings),
        measurements=(*_of_curves(curves), *of_all_labels),
        contrasts=(
            *(
                Contrast(f"{way} over zero-shot, {_shots(count)}", ZERO_SHOT, _named(way, count))
                for way in (BLENDED, PROBE)
                for count in counts
            ),
            Contrast("linear probe over zero-shot, all labels", ZERO_SHOT_ALL, LINEAR_PROBE),
        ),
        seconds=time.perf_counter() - started,
        skipped=labeled.pictures.skipped,
        shots=counts,
        draws=draws,
        classes=tuple(labeled.names[number] for number in curves[0].classes),
    )


def _one_thread() -> AbstractContextManager[object]:
    """Context with single-threaded BLAS, which is several times faster for small matrices."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _with_one_label(labeled: LabeledImages) -> tuple[FloatMatrix, NDArray[np.int64]]:
    rows = np.flatnonzero(np.diff(labeled.starts) == 1)
    return labeled.pictures.embeddings[rows], labeled.classes[labeled.starts[rows]]


def _of_curves(curves: Sequence[FewShotCurve]) -> list[Measurement]:
    """Accuracy per draw, by method and number of shots."""
    draws = np.arange(len(curves), dtype=np.int64)
    zero_shot = np.array([curve.points[0].zero_shot.accuracy for curve in curves])  # the same at every number of shots
    measurements = [Measurement(ZERO_SHOT, zero_shot, draws)]
    for place, point in enumerate(curves[0].points):
        blended = np.array([curve.points[place].blended.accuracy for curve in curves])
        probe = np.array([curve.points[place].probe.accuracy for curve in curves])
        measurements.append(Measurement(_named(BLENDED, point.shots), blended, draws))
        measurements.append(Measurement(_named(PROBE, point.shots), probe, draws))
    return measurements


def _of_all_labels(
    embeddings: FloatMatrix, classes: NDArray[np.int64], names: FloatMatrix, *, seed: int
) -> list[Measurement]:
    """Cross-validated top-1 of a probe of all labels, and zero-shot top-1 of the same images and classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    # enough per class for the inner folds of each outer fold
    enough = np.flatnonzero(np.bincount(classes, minlength=len(names)) >= _FOLDS)
    if len(enough) < 2:
        raise ConfigError(f"a linear probe needs at least two classes of {_FOLDS} images")
    chosen = np.isin(classes, enough)
    rows, truth = embeddings[chosen].astype(np.float64), np.searchsorted(enough, classes[chosen])
    ranks = first_relevant_ranks(embeddings[chosen] @ names[enough].T, truth)
    is_right = np.zeros(len(truth))
    for learned, tested in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, truth):
        inner = StratifiedKFold(_INNER_FOLDS, shuffle=True, random_state=seed)
        probe = GridSearchCV(LogisticRegression(max_iter=1000), {"C": list(_REGULARISATIONS)}, cv=inner)
        is_right[tested] = probe.fit(rows[learned], truth[learned]).predict(rows[tested]) == truth[tested]
    groups = np.arange(len(truth), dtype=np.int64)
    return [
        Measurement(ZERO_SHOT_ALL, (ranks <= 1).astype(np.float64), groups),
        Measurement(LINEAR_PROBE, is_right, groups),
    ]


def _named(way: str, shots: int) -> str:
    return f"{way}, {_shots(shots)}"


def _shots(count: int) -> str:
    return "1 shot" if count == 1 else f"{count} shots"
