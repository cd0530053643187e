"""Zero-shot classification against plain arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import ConfigError
from clipsearch.labeling.zero_shot import (
    DEFAULT_TEMPLATES,
    TEMPLATE_SETS,
    check_labels,
    class_embeddings,
    class_probabilities,
    fill_template,
    load_templates,
    read_labels,
    zero_shot_accuracy,
)


class CountingEncoder:
    """Embeds a text as a fixed random vector of its own."""

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(text.encode())).normal(size=6) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


@pytest.mark.parametrize(
    ("template", "name", "filled"),
    [
        ("a photo of {a}", "owl", "a photo of an owl"),
        ("a photo of a {}", "owl", "a photo of an owl"),
        ("An {}", "dog", "a dog"),
        ("a photo of a {}", "shoes", "a photo of shoes"),
        ("a photo of {a}", "the sea", "a photo of the sea"),
        ("{}: the word", "owl", "owl: the word"),
        ("{a} and {}", "dog", "a dog and dog"),
    ],
)
def test_articles_fit_the_name(template: str, name: str, filled: str) -> None:
    assert fill_template(template, name) == filled


def test_an_ensemble_is_the_mean_of_unit_embeddings_at_unit_length() -> None:
    encoder, names, templates = CountingEncoder(), ["dog", "owl", "shoes"], ("{}", "a photo of {a}", "{a}, seen far")
    expected = np.stack(
        [
            np.mean([encoder.encode_texts([fill_template(t, name)])[0].astype(np.float64) for t in templates], axis=0)
            for name in names
        ]
    )
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = class_embeddings(encoder, names, templates)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_probabilities_are_a_softmax_at_the_models_temperature() -> None:
    classes = np.eye(3, 4, dtype=np.float32)
    picture = np.array([[0.6, 0.8, 0.0, 0.0]], np.float32)
    odds = np.exp(10 * np.array([0.6, 0.8, 0.0]))
    np.testing.assert_allclose(class_probabilities(picture, classes, 10.0), [odds / odds.sum()], rtol=1e-6)
    assert class_probabilities(picture, classes, 1e5).tolist() == [[0.0, 1.0, 0.0]], "no overflow"


def test_accuracy_is_that_of_a_plain_count() -> None:
    random = np.random.default_rng(3)
    scores, truth = random.normal(size=(200, 8)), random.integers(0, 7, 200)  # the last class has no picture
    labels = [f"class {number}" for number in range(8)]
    found = zero_shot_accuracy(scores, truth, labels)
    order = np.argsort(-scores, axis=1)
    assert found.top1 == pytest.approx((order[:, 0] == truth).mean())
    assert found.top5 == pytest.approx((order[:, :5] == truth[:, None]).any(axis=1).mean())
    assert [one.label for one in found.classes] == labels[:7]
    for number, one in enumerate(found.classes):
        own = truth == number
        assert (one.pictures, one.top1) == (own.sum(), pytest.approx((order[own, 0] == number).mean()))
    assert found.confusion.sum() == 200
    assert found.confusion.trace() == round(found.top1 * 200)
    assert found.confusion[2, 5] == ((truth == 2) & (order[:, 0] == 5)).sum()


def test_a_model_that_scores_everything_alike_is_never_right() -> None:
    found = zero_shot_accuracy(np.zeros((4, 8)), np.arange(4), list("abcdefgh"))
    assert (found.top1, found.top5) == (0.0, 0.0)


@pytest.mark.parametrize("name", TEMPLATE_SETS)
def test_the_shipped_templates_take_a_name(name: str) -> None:
    templates = load_templates(name)
    assert len(templates) >= 5
    assert len(set(templates)) == len(templates)
    assert all("owl" in fill_template(template, "owl") for template in templates)


def test_own_templates_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("# a remark\n\nan x-ray of {a}\nfilm of {}\n", encoding="utf-8")
    assert load_templates(str(file)) == ("an x-ray of {a}", "film of {}")
    file.write_text("no place\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no placeholder"):
        load_templates(str(file))
    with pytest.raises(ConfigError, match="photo, sketch, satellite, document"):
        load_templates(str(tmp_path / "gone.txt"))


def test_labels_are_trimmed_and_told_apart(tmp_path: Path) -> None:
    assert check_labels([" dog", "cat ", "", "dog"]) == ("dog", "cat")
    with pytest.raises(ConfigError, match="at least two labels"):
        check_labels(["dog", "dog "])
    file = tmp_path / "labels.txt"
    file.write_text("dog\n# no label\nred panda\n", encoding="utf-8")
    assert read_labels(file) == ("dog", "red panda")
    with pytest.raises(ConfigError, match="cannot read"):
        read_labels(tmp_path / "gone.txt")


def test_the_default_is_the_prompt_of_the_paper() -> None:
    assert fill_template(DEFAULT_TEMPLATES[0], "dog") == "a photo of a dog"
