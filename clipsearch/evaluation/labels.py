"""Zero-shot classification and image-to-image retrieval on a labeled set."""

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
    """Figures of a class.

    Attributes:
        label: its name.
        images: number of its images.
        top_1: top-1 accuracy of its images by prompting method, 0–1.
        image_map: image-to-image mAP of its images, 0–1; ``None`` if it has only one.
    """

    label: str
    images: int
    top_1: Mapping[str, float]
    image_map: float | None


@dataclass(frozen=True, kw_only=True)
class LabelsReport(EvaluationReport):
    """Zero-shot accuracy with bare labels, one prompt and an ensemble; image-to-image mAP if images share labels.

    Attributes:
        classes: figures by class, in the order of the file.
        prompt: the single prompt.
        templates: templates of the ensemble.
    """

    task: ClassVar[str] = "labels"
    classes: tuple[ClassAccuracy, ...] = ()
    prompt: str = ""
    templates: tuple[str, ...] = field(default=())

    def details(self) -> Mapping[str, Any]:
        """The prompts, and figures by class."""
        classes = [
            {"label": one.label, "images": one.images, "top_1": dict(one.top_1), "image_map": one.image_map}
            for one in self.classes
        ]
        return {"prompt": self.prompt, "templates": list(self.templates), "classes": classes}


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Embedded images and their classes.

    Attributes:
        pictures: the readable images.
        names: class names, in the order of the file.
        classes: classes of all labels, by image, int64 [labels].
        starts: start of each image's labels in `classes`, int64 [images + 1].
    """

    pictures: EmbeddedImages
    names: tuple[str, ...]
    classes: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def owners(self) -> NDArray[np.int64]:
        """Image of each label, int64 [labels]."""
        return np.repeat(np.arange(len(self.pictures.names)), np.diff(self.starts))


def embed_labeled(
    encoder: Encoder,
    labels: Path,
    images: Path,
    *,
    split: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> LabeledImages:
    """Read a labeled set and embed its images; an image may have several labels, in a row each.

    Raises:
        ConfigError: the table or folder is invalid, there is only one class, or no image can be read.
        ModelError: the model fails.
    """
    rows = read_captions(labels, split=split)
    pictures = embed_images(encoder, images, image_names(rows), batch_size=batch_size, progress=progress)
    row_of = pictures.rows()
    pairs = list(dict.fromkeys((row_of[row.image], row.text) for row in rows if row.image in row_of))
    names = tuple(dict.fromkeys(label for _, label in pairs))
    if len(names) < 2:
        raise ConfigError(f"{labels} has only one label, {names[0]}; at least two are needed")
    number = {name: place for place, name in enumerate(names)}
    order, starts = grouped(np.array([row for row, _ in pairs], dtype=np.int64), len(pictures.names))
    classes = np.array([number[label] for _, label in pairs], dtype=np.int64)[order]
    return LabeledImages(pictures, names, classes, starts)


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
        labels: a table with the columns ``image``, ``label`` (or ``caption``) and optionally ``split``.
        images: the image folder.
        prompt: the single template; ``{}`` is replaced by the label and ``{a}`` by the label with an article.
        templates: templates of the ensemble.
        split: use only the rows of this split.
        batch_size: images per batch.
        progress: progress callback.

    Returns:
        Top-1 and top-5 accuracy; any of an image's labels is correct. Image-to-image retrieval: every image that shares
        a label is a query, and the images with the same label are relevant.

    Raises:
        ConfigError: the table, folder, split or a template is invalid, or no image can be read.
        ModelError: the model fails.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", sections
    3.1.2 to 3.1.4.
    """
    started = time.perf_counter()
    ways = {BARE: (BARE_TEMPLATE,), PROMPT: (prompt,), ENSEMBLE: tuple(templates)}
    labeled = embed_labeled(encoder, labels, images, split=split, batch_size=batch_size, progress=progress)
    measurements: list[Measurement] = []
    for way, chosen in ways.items():
        measurements += zero_shot_measurements(labeled, class_embeddings(encoder, labeled.names, chosen), way)
    measurements += image_to_image(labeled)
    steps = ((BARE, PROMPT), (PROMPT, ENSEMBLE), (BARE, ENSEMBLE))
    return LabelsReport(
        model=encoder.spec,
        queries=len(labeled.pictures.names),
        images=len(labeled.pictures.names),
        measurements=tuple(measurements),
        contrasts=tuple(
            Contrast(f"{second} over {first}, top-{k}", f"{first} top-{k}", f"{second} top-{k}")
            for k in (1, 5)
            for first, second in steps
        ),
        seconds=time.perf_counter() - started,
        skipped=labeled.pictures.skipped,
        classes=_class_by_class(labeled, measurements),
        prompt=prompt,
        templates=tuple(templates),
    )


def zero_shot_measurements(labeled: LabeledImages, classes: FloatMatrix, way: str) -> tuple[Measurement, ...]:
    """Top-1 and top-5 accuracy.

    Args:
        labeled: the images.
        classes: embeddings of the class names, float32 [classes, dim].
        way: prompting method, prefix of the measurements' names.
    """
    ranks = rank_among(labeled.pictures.embeddings, classes, labeled.classes, labeled.starts)
    groups = np.arange(len(ranks), dtype=np.int64)
    return tuple(Measurement(f"{way} top-{k}", (ranks.first <= k).astype(np.float64), groups) for k in (1, 5))


def image_to_image(labeled: LabeledImages) -> tuple[Measurement, ...]:
    """Hit rate @1 and mAP of images that share labels, among all others; empty if none do."""
    embeddings = labeled.pictures.embeddings
    sizes = np.bincount(labeled.classes, minlength=len(labeled.names))
    members, starts = grouped(labeled.classes, len(labeled.names))
    of_class = np.split(labeled.owners[members], starts[1:-1])  # images of each class

    def alike(picture: int) -> NDArray[np.int64]:
        classes = labeled.classes[labeled.starts[picture] : labeled.starts[picture + 1]]
        members = np.unique(np.concatenate([of_class[number] for number in classes]))
        return np.asarray(members[members != picture], np.int64)

    queries = np.unique(labeled.owners[sizes[labeled.classes] > 1])
    rows = max(1, SCORES_PER_BLOCK // len(embeddings))
    hits: list[NDArray[np.float64]] = []
    precisions: list[NDArray[np.float64]] = []
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        scores = embeddings[block] @ embeddings.T
        scores[np.arange(len(block)), block] = -np.inf  # not a candidate for itself
        relevant = [alike(picture) for picture in block.tolist()]
        ends = np.cumsum([0, *(len(own) for own in relevant)]).astype(np.int64)
        ranks = relevant_ranks(scores, np.concatenate(relevant), ends)
        hits.append((ranks.first <= 1).astype(np.float64))
        precisions.append(average_precision(ranks))
    if not hits:
        return ()
    return (
        Measurement(PICTURE_HIT, np.concatenate(hits), queries),
        Measurement(PICTURE_MAP, np.concatenate(precisions), queries),
    )


def _class_by_class(labeled: LabeledImages, measurements: Sequence[Measurement]) -> tuple[ClassAccuracy, ...]:
    by_name = {measurement.name: measurement for measurement in measurements}
    precision = np.full(len(labeled.pictures.names), np.nan)
    if PICTURE_MAP in by_name:
        precision[by_name[PICTURE_MAP].groups] = by_name[PICTURE_MAP].values
    figures: list[ClassAccuracy] = []
    for number, label in enumerate(labeled.names):
        rows = labeled.owners[labeled.classes == number]
        known = precision[rows][~np.isnan(precision[rows])]
        top_1 = {way: float(by_name[f"{way} top-1"].values[rows].mean()) for way in (BARE, PROMPT, ENSEMBLE)}
        figures.append(ClassAccuracy(label, len(rows), top_1, float(known.mean()) if len(known) else None))
    return tuple(figures)
