"""What labelled pictures are worth: a few of each class, and all of them, against zero-shot."""

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
from clipsearch.evaluation.labels import LabelledImages, embed_labelled
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
"""Values of C that the linear probe chooses among, within each fold."""


@dataclass(frozen=True, kw_only=True)
class FewShotReport(EvaluationReport):
    """Accuracy by number of shots, a value for each draw of them; and of a probe of all labels, picture by picture.

    Attributes:
        shots: labelled pictures of each class.
        draws: how often they were drawn.
        classes: names of the classes that had pictures enough for the curve.
    """

    task: ClassVar[str] = "few-shot"
    resampled: ClassVar[str] = "draws (of all labels: pictures)"
    zero_shot_name: ClassVar[str] = ZERO_SHOT
    shots: tuple[int, ...]
    draws: int
    classes: tuple[str, ...]

    def curves(self) -> Mapping[str, tuple[str, ...]]:
        """The measurements of each curve, by number of shots."""
        return {way: tuple(_named(way, count) for count in self.shots) for way in (BLENDED, PROBE)}

    def details(self) -> Mapping[str, Any]:
        """What was drawn."""
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

    The pictures that are learned from are drawn anew several times; all others of the same classes are tested, and
    accuracy is averaged over classes. Intervals of the curves are over draws. The linear probe learns from four fifths
    of all labelled pictures at a time and is tested on the rest; its penalty is chosen within the four fifths.

    Args:
        encoder: the model.
        labels: a table as `evaluate_labels`; pictures with several labels are left out.
        images: the folder that the ``image`` column is relative to.
        templates: that the names of the classes are put into.
        shots: labelled pictures of each class.
        draws: how often they are drawn.
        seed: of the draws and the folds.
        split: use the rows of this split only.
        batch_size: pictures embedded at once.
        progress: told how far it is.

    Raises:
        ConfigError: as `evaluate_labels`, or the classes have too few pictures.
        ModelError: the model fails.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", sections
    3.1.5 and 3.2.
    """
    if draws < FEWEST_DRAWS:
        raise ConfigError(f"at least {FEWEST_DRAWS} draws are needed, not {draws}")
    started = time.perf_counter()
    labelled = embed_labelled(encoder, labels, images, split=split, batch_size=batch_size, progress=progress)
    embeddings, classes = _with_one_label(labelled)
    names = class_embeddings(encoder, labelled.names, templates)
    with _one_thread():
        curves = []
        for draw in range(draws):  # one by one: a draw is what intervals are made of
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
        skipped=labelled.pictures.skipped,
        shots=counts,
        draws=draws,
        classes=tuple(labelled.names[number] for number in curves[0].classes),
    )


def _one_thread() -> AbstractContextManager[object]:
    """Matrices this small are multiplied several times quicker by one thread than by threads that wait for another."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _with_one_label(labelled: LabelledImages) -> tuple[FloatMatrix, NDArray[np.int64]]:
    rows = np.flatnonzero(np.diff(labelled.starts) == 1)
    return labelled.pictures.embeddings[rows], labelled.classes[labelled.starts[rows]]


def _of_curves(curves: Sequence[FewShotCurve]) -> list[Measurement]:
    """Accuracy of each draw, by way and number of shots."""
    draws = np.arange(len(curves), dtype=np.int64)
    zero_shot = np.array([curve.points[0].zero_shot.accuracy for curve in curves])  # the same at every number of shots
    found = [Measurement(ZERO_SHOT, zero_shot, draws)]
    for place, point in enumerate(curves[0].points):
        blended = np.array([curve.points[place].blended.accuracy for curve in curves])
        probe = np.array([curve.points[place].probe.accuracy for curve in curves])
        found.append(Measurement(_named(BLENDED, point.shots), blended, draws))
        found.append(Measurement(_named(PROBE, point.shots), probe, draws))
    return found


def _of_all_labels(
    embeddings: FloatMatrix, classes: NDArray[np.int64], names: FloatMatrix, *, seed: int
) -> list[Measurement]:
    """Held-out top-1 of a probe of all labels, and zero-shot top-1 of the same pictures among the same classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    # enough of each class for every inner fold of what an outer fold leaves
    enough = np.flatnonzero(np.bincount(classes, minlength=len(names)) >= _FOLDS)
    if len(enough) < 2:
        raise ConfigError(f"a linear probe needs two classes of {_FOLDS} pictures at least")
    chosen = np.isin(classes, enough)
    rows, own = embeddings[chosen].astype(np.float64), np.searchsorted(enough, classes[chosen])
    ranks = first_relevant_ranks(embeddings[chosen] @ names[enough].T, own)
    right = np.zeros(len(own))
    for learned, tested in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, own):
        inner = StratifiedKFold(_INNER_FOLDS, shuffle=True, random_state=seed)
        probe = GridSearchCV(LogisticRegression(max_iter=1000), {"C": list(_REGULARISATIONS)}, cv=inner)
        right[tested] = probe.fit(rows[learned], own[learned]).predict(rows[tested]) == own[tested]
    pictures = np.arange(len(own), dtype=np.int64)
    return [
        Measurement(ZERO_SHOT_ALL, (ranks <= 1).astype(np.float64), pictures),
        Measurement(LINEAR_PROBE, right, pictures),
    ]


def _named(way: str, shots: int) -> str:
    return f"{way}, {_shots(shots)}"


def _shots(count: int) -> str:
    return "1 shot" if count == 1 else f"{count} shots"
