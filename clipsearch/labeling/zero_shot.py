"""Zero-shot classification by label names.

Each name is put into prompt templates and embedded; a picture's probabilities are the softmax of its cosines with the
names, multiplied by the model's `logit_scale`. Method and results: docs/labels.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import data_dir, typed_path
from clipsearch.errors import ConfigError
from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k
from clipsearch.models.encoder import FloatMatrix, TextEncoder, l2_normalize
from clipsearch.retrieval.prompts import with_article
from clipsearch.retrieval.relevance.caption_bank import read_lines

DEFAULT_TEMPLATES = ("a photo of {a}",)
"""Radford et al. 2021, §3.1.4, with an article that agrees with the name."""

TEMPLATE_SETS = ("photo", "sketch", "satellite", "document")
"""Names of the shipped template sets."""

_ARTICLE = re.compile(r"\b[Aa]n? \{\}")
_MIN_LABELS = 2


@dataclass(frozen=True)
class ClassAccuracy:
    """Number of pictures of one class, and their top-1 and top-5 accuracy, 0–1."""

    label: str
    pictures: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a classification.

    Attributes:
        pictures: number of pictures.
        top1: top-1 accuracy, 0–1.
        top5: top-5 accuracy, 0–1.
        classes: accuracy of each class that has pictures, in the order of the labels.
        confusion: int64 [labels, labels]: number of pictures of the row's class classified as the column's.
    """

    pictures: int
    top1: float
    top5: float
    classes: tuple[ClassAccuracy, ...]
    confusion: NDArray[np.int64]


def load_templates(source: str) -> tuple[str, ...]:
    """Load a shipped template set, or a file with one template per line; ``#`` begins a comment.

    Raises:
        ConfigError: there is no such set or file, or a template has no placeholder.
    """
    path = data_dir() / "prompts" / f"{source}.txt" if source in TEMPLATE_SETS else typed_path(source)
    try:
        templates = read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        sets = ", ".join(TEMPLATE_SETS)
        raise ConfigError(f"cannot read the templates {source} ({error}); use a file or one of: {sets}") from error
    return check_templates(templates, source)


def check_templates(templates: Sequence[str], source: str) -> tuple[str, ...]:
    """Validate templates.

    Raises:
        ConfigError: there are none, or one has no placeholder; names `source`.
    """
    wrong = [template for template in templates if "{}" not in template and "{a}" not in template]
    if wrong or not templates:
        what = f"the template {wrong[0]!r} has no placeholder {{}}" if wrong else "there is no template"
        raise ConfigError(f'{source}: {what}; write for example "a photo of a {{}}"')
    return tuple(templates)


def fill_template(template: str, name: str) -> str:
    """Put a name into a template, with the article that agrees with it.

    >>> fill_template("a photo of a {}", "owl"), fill_template("a photo of {a}", "shoes")
    ('a photo of an owl', 'a photo of shoes')
    >>> fill_template("the word {}", "owl")
    'the word owl'
    """
    return _ARTICLE.sub("{a}", template).replace("{a}", with_article(name)).replace("{}", name)


def class_embeddings(encoder: TextEncoder, names: Sequence[str], templates: Sequence[str]) -> FloatMatrix:
    """Embed each class as the normalized mean over its prompts.

    Args:
        encoder: the model.
        names: of the classes, n ≥ 1.
        templates: at least one; ``{}`` stands for the name and ``{a}`` for the name with an article.

    Returns:
        float32 [n, dim], unit rows.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", §3.1.4.
    """
    filled = [[fill_template(template, name) for name in names] for template in templates]
    total = encoder.encode_texts(filled[0])
    for texts in filled[1:]:
        total = total + encoder.encode_texts(texts)
    return l2_normalize(total)


def class_probabilities(pictures: FloatMatrix, classes: FloatMatrix, logit_scale: float) -> NDArray[np.float64]:
    """Probability of each class for each picture, if exactly one class is right.

    Args:
        pictures: embeddings, float32 [n, dim], unit rows.
        classes: `class_embeddings`, float32 [classes, dim].
        logit_scale: the model's (`Encoder.logit_scale`).

    Returns:
        float64 [n, classes], 0–1, rows that sum to 1.
    """
    logits = logit_scale * (pictures @ classes.T).astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def zero_shot_accuracy(scores: NDArray[np.floating], truth: NDArray[np.integer], labels: Sequence[str]) -> Accuracy:
    """Accuracy of scores or probabilities; ties count as wrong.

    Args:
        scores: floating [n, classes], n ≥ 1.
        truth: integer [n], true class of each picture.
        labels: names of the classes.
    """
    ranks = first_relevant_ranks(scores, truth)
    classes = []
    for number in np.unique(truth).tolist():
        of_class = ranks[truth == number]
        accuracy = hit_rate_at_k(of_class, 1), hit_rate_at_k(of_class, 5)
        classes.append(ClassAccuracy(labels[number], len(of_class), *accuracy))
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, scores.argmax(axis=1)), 1)
    return Accuracy(len(ranks), hit_rate_at_k(ranks, 1), hit_rate_at_k(ranks, 5), tuple(classes), confusion)


def check_labels(names: Sequence[str]) -> tuple[str, ...]:
    """Normalize the names of classes and remove duplicates.

    Raises:
        ConfigError: there are fewer than two.
    """
    labels = tuple(dict.fromkeys(" ".join(name.split()) for name in names if name.strip()))
    if len(labels) < _MIN_LABELS:
        raise ConfigError('name at least two labels to choose from, for example: --labels "plane,car,dog"')
    return labels


def read_labels(path: Path) -> tuple[str, ...]:
    """Read labels from a file with one per line; ``#`` begins a comment.

    Raises:
        ConfigError: the file cannot be read, or has fewer than two labels.
    """
    try:
        return check_labels(read_lines(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the labels {path}: {error}") from error
