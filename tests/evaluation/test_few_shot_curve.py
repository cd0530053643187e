"""Few-shot curves on synthetic embeddings with known classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.errors import ConfigError
from clipsearch.evaluation.few_shot_curve import FEWEST_TESTED, FewShotCurve, few_shot_curve
from clipsearch.models.encoder import FloatMatrix, l2_normalize

SHOTS = (1, 2, 4)
Space = tuple[FloatMatrix, NDArray[np.int64], FloatMatrix]


def space(classes: int = 4, *, noise: float = 0.8, of_names: float = 0.6, each: int = 14, dim: int = 16) -> Space:
    """Images and names around the center of their class."""
    random = np.random.default_rng(classes)
    centres = l2_normalize(random.normal(size=(classes, dim)))
    labels = np.repeat(np.arange(classes), each)
    pictures = centres[labels] + noise * random.normal(size=(len(labels), dim)) / dim**0.5
    names = centres + of_names * random.normal(size=(classes, dim)) / dim**0.5
    return l2_normalize(pictures), labels, l2_normalize(names)


def curve(data: Space, *, repeats: int = 3) -> FewShotCurve:
    return few_shot_curve(*data, shots=SHOTS, repeats=repeats)


def test_more_shots_are_better_and_the_blend_is_not_below_zero_shot() -> None:
    found = curve(space())
    assert [point.shots for point in found.points] == list(SHOTS)
    probes = [point.probe.accuracy for point in found.points]
    assert probes == sorted(probes) and probes[-1] > probes[0]
    for point in found.points:
        assert point.zero_shot == found.points[0].zero_shot
        assert point.blended.accuracy >= point.zero_shot.accuracy
        assert point.blended.mean_average_precision >= point.zero_shot.mean_average_precision


def test_perfect_names_and_wrong_names() -> None:
    perfect = curve(space(noise=0.05, of_names=0.0), repeats=1).points[0]
    assert perfect.zero_shot == perfect.probe == perfect.blended
    assert (perfect.blended.accuracy, perfect.blended.mean_average_precision) == (1.0, 1.0)
    pictures, labels, names = space(noise=0.05)
    wrong = curve((pictures, labels, names[::-1]), repeats=1).points[-1]
    assert wrong.zero_shot.accuracy < 0.1 and wrong.probe.accuracy == 1.0


def test_the_zero_shot_figures_are_those_of_a_full_matrix() -> None:
    pictures, labels, names = space(3, each=4 + FEWEST_TESTED)
    found = few_shot_curve(pictures, labels, names, shots=(4,), repeats=1, seed=3)
    # the same draw: all other images are tested
    order = np.random.default_rng([3, 0]).permutation(len(labels))
    tested = np.concatenate([order[labels[order] == number][4:] for number in range(3)])
    scores, own = pictures[tested] @ names.T, labels[tested]
    accuracy = np.mean([(scores[own == number].argmax(axis=1) == number).mean() for number in range(3)])
    precisions = []
    for number in range(3):
        right = own[np.argsort(-scores[:, number], kind="stable")] == number
        precisions.append(np.mean(np.cumsum(right)[right] / (np.flatnonzero(right) + 1)))
    assert found.points[0].zero_shot.accuracy == pytest.approx(accuracy)
    assert found.points[0].zero_shot.mean_average_precision == pytest.approx(np.mean(precisions))
    assert found.tested == len(tested) == 3 * FEWEST_TESTED


def test_the_same_seed_gives_the_same_curve_whatever_the_order_of_the_shots() -> None:
    data = space()
    first = few_shot_curve(*data, shots=(2, 1), repeats=2, seed=5)
    assert first == few_shot_curve(*data, shots=(1, 2, 2), repeats=2, seed=5)
    assert first != few_shot_curve(*data, shots=(1, 2), repeats=2, seed=6)


def test_two_classes_are_enough() -> None:
    found = curve(space(2), repeats=2)
    assert found.points[-1].probe.accuracy > 0.5 and found.points[-1].blended.accuracy > 0.5


def test_classes_with_too_few_images_are_skipped() -> None:
    pictures, labels, names = space()
    kept = (labels != 1) | (np.arange(len(labels)) % 3 == 0)
    found = few_shot_curve(pictures[kept], labels[kept], names, shots=(4,), repeats=1)
    assert found.classes == (0, 2, 3)
    only = np.isin(labels, [0])
    for chosen, there in ((only, "is 1"), (only & False, "are 0")):
        with pytest.raises(
            ConfigError, match=f"needs at least two classes of {4 + FEWEST_TESTED} images; there {there}"
        ):
            few_shot_curve(pictures[chosen], labels[chosen], names, shots=(4,))


@pytest.mark.parametrize(("shots", "repeats"), [((), 1), ((0, 1), 1), ((1,), 0)])
def test_shots_and_repetitions_are_at_least_1(shots: tuple[int, ...], repeats: int) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        few_shot_curve(*space(2), shots=shots, repeats=repeats)
