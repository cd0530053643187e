"""Zero-shot classification: pictures are told apart by the names of classes alone, without any examples.

Each name is put into prompt templates and embedded; a picture's probabilities are the softmax of its cosines with the
names, multiplied by the temperature that the model learned. docs/labels.md has the method and what it reaches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import data_dir
from clipsearch.errors import ConfigError
from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k
from clipsearch.models.encoder import FloatMatrix, TextEncoder, l2_normalize
from clipsearch.retrieval.prompts import with_article
from clipsearch.retrieval.relevance.caption_bank import read_lines

DEFAULT_TEMPLATES = ("a photo of {a}",)
"""Radford et al. 2021, §3.1.4, with an article that fits the name."""

TEMPLATE_SETS = ("photo", "sketch", "satellite", "document")
"""The sets of templates that are shipped, by name."""

_ARTICLE = re.compile(r"\b[Aa]n? \{\}")
_FEWEST_LABELS = 2


@dataclass(frozen=True)
class ClassAccuracy:
    """How well the pictures of one class are told: how many there are, and the shares that are right."""

    label: str
    pictures: int
    top1: float
    top5: float


@dataclass(frozen=True)
class Accuracy:
    """How well pictures are told whose class is known.

    Attributes:
        pictures: how many these are.
        top1: share of which the right class is the most probable, 0–1.
        top5: share of which it is among the five most probable, 0–1.
        classes: the same of each class that has pictures, in the order of the labels.
        confusion: int64 [labels, labels]: how many pictures of the row's class were taken for the column's.
    """

    pictures: int
    top1: float
    top5: float
    classes: tuple[ClassAccuracy, ...]
    confusion: NDArray[np.int64]


def load_templates(source: str) -> tuple[str, ...]:
    """The templates of a shipped set, or of a file with one in each line; ``#`` begins a remark.

    Raises:
        ConfigError: there is no such set or file, or a line of it has no place for the name.
    """
    path = data_dir() / "prompts" / f"{source}.txt" if source in TEMPLATE_SETS else Path(source).expanduser()
    try:
        templates = read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        sets = ", ".join(TEMPLATE_SETS)
        raise ConfigError(f"the templates {source} cannot be read ({error}); take a file or one of: {sets}") from error
    return check_templates(templates, source)


def check_templates(templates: Sequence[str], source: str) -> tuple[str, ...]:
    """The templates, if there are any and a name fits into each.

    Raises:
        ConfigError: otherwise; it names `source`.
    """
    wrong = [template for template in templates if "{}" not in template and "{a}" not in template]
    if wrong or not templates:
        what = f"the template {wrong[0]!r} has no place for the name" if wrong else "there is no template"
        raise ConfigError(f'{source}: {what}; write it as {{}}, for example "a photo of a {{}}"')
    return tuple(templates)


def fill_template(template: str, name: str) -> str:
    """A name put into a template; an article before it fits it, or is left out where it takes none.

    >>> fill_template("a photo of a {}", "owl"), fill_template("a photo of {a}", "shoes")
    ('a photo of an owl', 'a photo of shoes')
    >>> fill_template("the word {}", "owl")
    'the word owl'
    """
    return _ARTICLE.sub("{a}", template).replace("{a}", with_article(name)).replace("{}", name)


def class_embeddings(encoder: TextEncoder, names: Sequence[str], templates: Sequence[str]) -> FloatMatrix:
    """A direction for each class: the mean of the embeddings of its name in every template, at unit length.

    Args:
        encoder: the model.
        names: of the classes, n ≥ 1.
        templates: one at least; ``{}`` stands for the name and ``{a}`` for the name with an article.

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
    """How probable each class is for each picture, if one of them is right.

    Args:
        pictures: embeddings, float32 [n, dim], unit rows.
        classes: `class_embeddings`, float32 [classes, dim].
        logit_scale: the model's (`Encoder.logit_scale`).

    Returns:
        float64 [n, classes], 0–1, rows that sum to 1.
    """
    logits = logit_scale * (pictures @ classes.T).astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return probabilities


def zero_shot_accuracy(scores: NDArray[np.floating], truth: NDArray[np.integer], labels: Sequence[str]) -> Accuracy:
    """Measure scores or probabilities against what is true.

    A class that scores the same as the right one counts as before it.

    Args:
        scores: floating [n, classes], n ≥ 1.
        truth: integer [n], the right class of each picture.
        labels: names of the classes.
    """
    ranks = first_relevant_ranks(scores, truth)
    of_classes = []
    for number in np.unique(truth).tolist():
        own = ranks[truth == number]
        of_classes.append(ClassAccuracy(labels[number], len(own), hit_rate_at_k(own, 1), hit_rate_at_k(own, 5)))
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (truth, scores.argmax(axis=1)), 1)
    return Accuracy(len(ranks), hit_rate_at_k(ranks, 1), hit_rate_at_k(ranks, 5), tuple(of_classes), confusion)


def check_labels(names: Sequence[str]) -> tuple[str, ...]:
    """The names of classes without repetitions.

    Raises:
        ConfigError: fewer than two are left, among which nothing can be told apart.
    """
    labels = tuple(dict.fromkeys(" ".join(name.split()) for name in names if name.strip()))
    if len(labels) < _FEWEST_LABELS:
        raise ConfigError('name at least two labels to choose from, for example: --labels "plane,car,dog"')
    return labels


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a file with one in each line; ``#`` begins a remark.

    Raises:
        ConfigError: it cannot be read, or has fewer than two.
    """
    try:
        return check_labels(read_lines(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the labels {path} cannot be read: {error}") from error
