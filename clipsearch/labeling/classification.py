"""Zero-shot classification of pictures, and its accuracy against known labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.catalog.vocabulary import singulars
from clipsearch.errors import QueryError
from clipsearch.labeling.zero_shot import Accuracy, class_embeddings, class_probabilities, zero_shot_accuracy
from clipsearch.models.encoder import FloatMatrix, TextEncoder
from clipsearch.retrieval.results import SearchResult


class ZeroShotEncoder(TextEncoder, Protocol):
    """A text encoder with a learned softmax temperature."""

    spec: str
    logit_scale: float


@dataclass(frozen=True)
class Label:
    """A class and its probability, 0–1, among the given classes."""

    name: str
    probability: float


@dataclass(frozen=True)
class LabeledPicture:
    """A picture with its most probable classes, best first."""

    path: Path
    labels: tuple[Label, ...]


@dataclass(frozen=True, eq=False)
class Classification:
    """Pictures with class probabilities.

    Attributes:
        model: spec of the model.
        labels: names of the classes.
        templates: prompt templates.
        paths: of the pictures.
        probabilities: float64 [pictures, classes], rows that sum to 1.
    """

    model: str
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    paths: tuple[Path, ...]
    probabilities: NDArray[np.float64]

    def best(self, k: int) -> list[LabeledPicture]:
        """Each picture with its k most probable classes."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            LabeledPicture(path, tuple(Label(self.labels[number], float(row[number])) for number in best.tolist()))
            for path, row, best in zip(self.paths, self.probabilities, order, strict=True)
        ]

    def accuracy(self, truth: Mapping[Path, str]) -> Accuracy | None:
        """Accuracy on the pictures whose true class is among the labels; ``None`` if there are none.

        Labels are compared ignoring case, plurals, hyphens and underscores.
        """
        numbers = {_folded(label): number for number, label in enumerate(self.labels)}
        known = [
            (row, numbers[_folded(truth[path])])
            for row, path in enumerate(self.paths)
            if path in truth and _folded(truth[path]) in numbers
        ]
        if not known:
            return None
        rows, classes = np.array(known).T
        return zero_shot_accuracy(self.probabilities[rows], classes, self.labels)


def classify(
    encoder: ZeroShotEncoder,
    paths: Sequence[Path],
    embeddings: FloatMatrix,
    *,
    labels: Sequence[str],
    templates: Sequence[str],
) -> Classification:
    """Classify pictures by label names (zero-shot).

    Args:
        encoder: the model that embedded them.
        paths: of the pictures.
        embeddings: float32 [pictures, dim], unit rows.
        labels: names of at least two classes.
        templates: see `class_embeddings`.
    """
    classes = class_embeddings(encoder, labels, templates)
    probabilities = class_probabilities(embeddings, classes, encoder.logit_scale)
    return Classification(encoder.spec, tuple(labels), tuple(templates), tuple(paths), probabilities)


def classify_results(
    store: Catalog,
    model: ModelRecord,
    encoder: Callable[[], ZeroShotEncoder],
    results: Sequence[SearchResult],
    *,
    labels: Sequence[str],
    templates: Sequence[str],
) -> Classification:
    """Classify search results by their embeddings in the catalog.

    Raises:
        QueryError: there are no results.
    """
    embedded = store.embeddings_by_hash([result.content_hash for result in results], model)
    known = [result for result in results if result.content_hash in embedded]
    if not known:
        raise QueryError("the query finds no pictures to classify")
    embeddings = np.stack([embedded[result.content_hash] for result in known]).astype(np.float32)
    return classify(encoder(), [result.path for result in known], embeddings, labels=labels, templates=templates)


def folder_truth(paths: Iterable[Path]) -> dict[Path, str]:
    """The name of each picture's folder as its true class."""
    return {path: path.parent.name for path in paths}


def listed_truth(paths: Iterable[Path], listed: Mapping[str, str]) -> dict[Path, str]:
    """The true class of each picture whose path ends with a listed path.

    Args:
        paths: of the pictures.
        listed: class by path or file name, parts joined by ``/``.
    """
    truth: dict[Path, str] = {}
    for path in paths:
        parts = path.as_posix().split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        label = next((listed[end] for end in ends if end in listed), None)
        if label is not None:
            truth[path] = label
    return truth


def _folded(label: str) -> str:
    plain = " ".join(label.lower().replace("_", " ").replace("-", " ").split())
    return next(iter(singulars(plain)), plain)
