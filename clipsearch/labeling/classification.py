"""Pictures sorted into classes that are only named: whose probabilities, whose truth, and how well they agree."""

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
    """A text encoder whose cosines become probabilities."""

    spec: str
    logit_scale: float


@dataclass(frozen=True)
class Label:
    """A class that a picture may be of, and how probable that is, 0–1, if it is one of those that were named."""

    name: str
    probability: float


@dataclass(frozen=True)
class LabelledPicture:
    """A picture, and its most probable classes, best first."""

    path: Path
    labels: tuple[Label, ...]


@dataclass(frozen=True, eq=False)
class Classification:
    """Pictures and their classes.

    Attributes:
        model: spec of the model.
        labels: names of the classes.
        templates: that they were put into.
        paths: of the pictures.
        probabilities: float64 [pictures, classes], rows that sum to 1.
    """

    model: str
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    paths: tuple[Path, ...]
    probabilities: NDArray[np.float64]

    def best(self, k: int) -> list[LabelledPicture]:
        """Each picture with its k most probable classes."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            LabelledPicture(path, tuple(Label(self.labels[number], float(row[number])) for number in best.tolist()))
            for path, row, best in zip(self.paths, self.probabilities, order, strict=True)
        ]

    def accuracy(self, truth: Mapping[Path, str]) -> Accuracy | None:
        """How well the pictures are told whose class is known and among the labels; ``None`` if there is none.

        Case, plurals, hyphens and underscores make no difference.
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
    """Tell pictures apart by the names of classes.

    Args:
        encoder: the model that embedded them.
        paths: of the pictures.
        embeddings: float32 [pictures, dim], unit rows.
        labels: names of the classes, two at least.
        templates: as for `class_embeddings`.
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
    """The same for pictures of a library, which are embedded already.

    Raises:
        QueryError: there are none.
    """
    embedded = store.tags.embedded_as([result.content_hash for result in results], model)
    known = [result for result in results if result.content_hash in embedded]
    if not known:
        raise QueryError("the query finds no pictures to classify")
    embeddings = np.stack([embedded[result.content_hash] for result in known]).astype(np.float32)
    return classify(encoder(), [result.path for result in known], embeddings, labels=labels, templates=templates)


def folder_truth(paths: Iterable[Path]) -> dict[Path, str]:
    """The class of each picture where pictures are sorted into folders: the name of the folder that it is in."""
    return {path: path.parent.name for path in paths}


def listed_truth(paths: Iterable[Path], listed: Mapping[str, str]) -> dict[Path, str]:
    """The class of each picture that a list names: by the end of its path, or by the file's name alone.

    Args:
        paths: of the pictures.
        listed: class by path, parts joined by ``/``.
    """
    found: dict[Path, str] = {}
    for path in paths:
        parts = path.as_posix().split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        label = next((listed[end] for end in ends if end in listed), None)
        if label is not None:
            found[path] = label
    return found


def _folded(label: str) -> str:
    plain = " ".join(label.lower().replace("_", " ").replace("-", " ").split())
    return next(iter(singulars(plain)), plain)
