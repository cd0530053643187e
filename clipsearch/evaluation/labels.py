"""Zero-shot classification and picture-to-picture retrieval over a labelled set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError
from clipsearch.evaluation.captions import read_captions
from clipsearch.evaluation.embedding import BATCH, EmbeddedImages, Progress, embed_images
from clipsearch.evaluation.measurements import Measurement
from clipsearch.evaluation.ranking import SCORES_PER_BLOCK, grouped, rank_among
from clipsearch.evaluation.report import Contrast, EvaluationReport
from clipsearch.evaluation.retrieval import image_names
from clipsearch.labeling.zero_shot import class_embeddings
from clipsearch.metrics import average_precision, relevant_ranks
from clipsearch.models.encoder import Encoder, FloatMatrix

BARE, PROMPT, ENSEMBLE = "bare labels", "one prompt", "ensemble"

BARE_TEMPLATE = "{}"

PICTURE_MAP = "image-to-image mAP"
PICTURE_HIT = "image-to-image hit rate @1"


@dataclass(frozen=True)
class ClassAccuracy:
    """One class of a labelled set.

    Attributes:
        label: its name.
        images: pictures that have it.
        top_1: share of them recognised, 0–1, for each way to put the names.
        image_map: image-to-image mAP of its pictures, 0–1; ``None`` if it has only one.
    """

    label: str
    images: int
    top_1: Mapping[str, float]
    image_map: float | None


@dataclass(frozen=True, kw_only=True)
class LabelsReport(EvaluationReport):
    """Zero-shot accuracy with bare labels, one prompt and an ensemble; image-to-image mAP where classes allow it.

    Attributes:
        classes: class by class, in the order of the file.
        prompt: the one prompt.
        templates: those of the ensemble.
    """

    task: ClassVar[str] = "labels"
    classes: tuple[ClassAccuracy, ...] = ()
    prompt: str = ""
    templates: tuple[str, ...] = field(default=())

    def details(self) -> Mapping[str, Any]:
        """The prompts, and accuracy class by class."""
        classes = [
            {"label": one.label, "images": one.images, "top_1": dict(one.top_1), "image_map": one.image_map}
            for one in self.classes
        ]
        return {"prompt": self.prompt, "templates": list(self.templates), "classes": classes}


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Embedded pictures and which classes each has.

    Attributes:
        pictures: those that could be read.
        names: of the classes, in the order of the file.
        classes: int64 [labels of all pictures], ascending by picture.
        starts: int64 [pictures + 1], where each picture's labels begin in `classes`.
    """

    pictures: EmbeddedImages
    names: tuple[str, ...]
    classes: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def owners(self) -> NDArray[np.int64]:
        """The picture of each label, int64 [labels of all pictures]."""
        return np.repeat(np.arange(len(self.pictures.names)), np.diff(self.starts))


def embed_labelled(
    encoder: Encoder,
    labels: Path,
    images: Path,
    *,
    split: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> LabelledImages:
    """Read a labelled set and embed its pictures; a picture may have several labels, on a row each.

    Raises:
        ConfigError: the table or the folder is wrong, there is only one class, or no picture can be read.
        ModelError: the model fails.
    """
    rows = read_captions(labels, split=split)
    pictures = embed_images(encoder, images, image_names(rows), batch_size=batch_size, progress=progress)
    row_of = pictures.rows()
    pairs = list(dict.fromkeys((row_of[row.image], row.text) for row in rows if row.image in row_of))
    names = tuple(dict.fromkeys(label for _, label in pairs))
    if len(names) < 2:
        raise ConfigError(f"{labels} has only one label, {names[0]}; nothing can be told apart")
    number = {name: place for place, name in enumerate(names)}
    order, starts = grouped(np.array([row for row, _ in pairs], dtype=np.int64), len(pictures.names))
    classes = np.array([number[label] for _, label in pairs], dtype=np.int64)[order]
    return LabelledImages(pictures, names, classes, starts)


def evaluate_labels(
    encoder: Encoder,
    labels: Path,
    images: Path,
    *,
    prompt: str,
    templates: Sequence[str],
    split: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> LabelsReport:
    """Measure zero-shot accuracy and image-to-image retrieval.

    Args:
        encoder: the model.
        labels: a table with the columns ``image`` and ``label`` (or ``caption``), and maybe ``split``.
        images: the folder that the ``image`` column is relative to.
        prompt: the one template; ``{}`` stands for the label and ``{a}`` for the label with an article.
        templates: those of the ensemble.
        split: use the rows of this split only.
        batch_size: pictures embedded at once.
        progress: told how far it is.

    Returns:
        Top-1 and top-5 accuracy; a picture with several labels is right with any of them. Image-to-image: every
        picture whose label another one has is a query, and those others are right.

    Raises:
        ConfigError: the table, the folder, the split or a template is wrong, or no picture can be read.
        ModelError: the model fails.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", sections
    3.1.2 to 3.1.4.
    """
    started = time.perf_counter()
    ways = {BARE: (BARE_TEMPLATE,), PROMPT: (prompt,), ENSEMBLE: tuple(templates)}
    labelled = embed_labelled(encoder, labels, images, split=split, batch_size=batch_size, progress=progress)
    measurements: list[Measurement] = []
    for way, chosen in ways.items():
        measurements += zero_shot_measurements(labelled, class_embeddings(encoder, labelled.names, chosen), way)
    measurements += image_to_image(labelled)
    steps = ((BARE, PROMPT), (PROMPT, ENSEMBLE), (BARE, ENSEMBLE))
    return LabelsReport(
        model=encoder.spec,
        queries=len(labelled.pictures.names),
        images=len(labelled.pictures.names),
        measurements=tuple(measurements),
        contrasts=tuple(
            Contrast(f"{second} over {first}, top-{k}", f"{first} top-{k}", f"{second} top-{k}")
            for k in (1, 5)
            for first, second in steps
        ),
        seconds=time.perf_counter() - started,
        skipped=labelled.pictures.skipped,
        classes=_class_by_class(labelled, measurements),
        prompt=prompt,
        templates=tuple(templates),
    )


def zero_shot_measurements(labelled: LabelledImages, classes: FloatMatrix, way: str) -> tuple[Measurement, ...]:
    """Top-1 and top-5 accuracy.

    Args:
        labelled: the pictures.
        classes: float32 [classes, dim], the directions of their names.
        way: put before the names of the measurements.
    """
    ranks = rank_among(labelled.pictures.embeddings, classes, labelled.classes, labelled.starts)
    groups = np.arange(len(ranks), dtype=np.int64)
    return tuple(Measurement(f"{way} top-{k}", (ranks.first <= k).astype(np.float64), groups) for k in (1, 5))


def image_to_image(labelled: LabelledImages) -> tuple[Measurement, ...]:
    """Hit rate and mAP of pictures that share a label, each asked among all others; nothing where none share one."""
    embeddings = labelled.pictures.embeddings
    sizes = np.bincount(labelled.classes, minlength=len(labelled.names))
    members, starts = grouped(labelled.classes, len(labelled.names))
    of_class = np.split(labelled.owners[members], starts[1:-1])  # the pictures of each class

    def alike(picture: int) -> NDArray[np.int64]:
        own = labelled.classes[labelled.starts[picture] : labelled.starts[picture + 1]]
        together = np.unique(np.concatenate([of_class[number] for number in own]))
        return np.asarray(together[together != picture], np.int64)

    asked = np.unique(labelled.owners[sizes[labelled.classes] > 1])
    rows = max(1, SCORES_PER_BLOCK // len(embeddings))
    hits: list[NDArray[np.float64]] = []
    precisions: list[NDArray[np.float64]] = []
    for start in range(0, len(asked), rows):
        block = asked[start : start + rows]
        scores = embeddings[block] @ embeddings.T
        scores[np.arange(len(block)), block] = -np.inf  # no candidate for itself
        relevant = [alike(picture) for picture in block.tolist()]
        ends = np.cumsum([0, *(len(own) for own in relevant)]).astype(np.int64)
        ranks = relevant_ranks(scores, np.concatenate(relevant), ends)
        hits.append((ranks.first <= 1).astype(np.float64))
        precisions.append(average_precision(ranks))
    if not hits:
        return ()
    return (
        Measurement(PICTURE_HIT, np.concatenate(hits), asked),
        Measurement(PICTURE_MAP, np.concatenate(precisions), asked),
    )


def _class_by_class(labelled: LabelledImages, measurements: Sequence[Measurement]) -> tuple[ClassAccuracy, ...]:
    by_name = {found.name: found for found in measurements}
    precision = np.full(len(labelled.pictures.names), np.nan)
    if PICTURE_MAP in by_name:
        precision[by_name[PICTURE_MAP].groups] = by_name[PICTURE_MAP].values
    found: list[ClassAccuracy] = []
    for number, label in enumerate(labelled.names):
        rows = labelled.owners[labelled.classes == number]
        known = precision[rows][~np.isnan(precision[rows])]
        top_1 = {way: float(by_name[f"{way} top-1"].values[rows].mean()) for way in (BARE, PROMPT, ENSEMBLE)}
        found.append(ClassAccuracy(label, len(rows), top_1, float(known.mean()) if len(known) else None))
    return tuple(found)
