"""Data overlap: evaluation images that are also in the training set, and their effect on the figures.

A duplicate detector (`clipsearch.retrieval.duplicates`) splits the evaluation set into *overlap* and *clean*, and the
figures of all, clean and overlap are compared.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 5.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError
from clipsearch.evaluation.captions import read_captions
from clipsearch.evaluation.embedding import BATCH, EmbeddedImages, Progress, embed_images
from clipsearch.evaluation.measurements import Measurement
from clipsearch.evaluation.report import EvaluationReport
from clipsearch.evaluation.retrieval import embed_pairs, image_names, measure_retrieval
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.media.perceptual_hash import stack_fingerprints
from clipsearch.models.encoder import Encoder
from clipsearch.retrieval.duplicates.candidates import coarse_candidates, embedding_candidates, unique_pairs
from clipsearch.retrieval.duplicates.verification import LEAST_COARSE, LEAST_SIMILARITY, NONE, PairVerifier

ALL, CLEAN, OVERLAP = "all", "without overlap", "overlap only"


@dataclass(frozen=True)
class SeenImage:
    """An evaluation image that is also in the training set.

    Attributes:
        image: its name in the captions file.
        training: names of its versions in the training set.
    """

    image: str
    training: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OverlapReport(EvaluationReport):
    """Retrieval with the queries of all, clean and overlapping images; candidates are always all images.

    Attributes:
        training_images: number of readable training images.
        seen: the overlapping evaluation images.
    """

    task: ClassVar[str] = "overlap"
    training_images: int
    seen: tuple[SeenImage, ...]

    def details(self) -> Mapping[str, Any]:
        """The overlap."""
        seen = [{"image": one.image, "training": list(one.training)} for one in self.seen]
        return {"training_images": self.training_images, "overlap": len(self.seen) / self.images, "seen": seen}


def evaluate_overlap(
    encoder: Encoder,
    captions: Path,
    images: Path,
    *,
    training: Path | None = None,
    training_split: str | None = None,
    known: OverlapReport | None = None,
    split: str | None = None,
    template: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> OverlapReport:
    """Find the overlap of training and evaluation set, and measure retrieval with and without it.

    Args:
        encoder: the model, whose embeddings also find duplicate candidates.
        captions: as for `evaluate_retrieval`.
        images: as for `evaluate_retrieval`.
        training: folder of the training set, searched recursively.
        training_split: a split of `captions` instead of a folder.
        known: another model's report with the same arguments, whose overlap is used.
        split: as for `evaluate_retrieval`.
        template: as for `evaluate_retrieval`.
        batch_size: images per batch.
        progress: progress callback.

    Raises:
        ConfigError: as `evaluate_retrieval`, or the training set is missing or empty.
        ModelError: the model fails.
    """
    started = time.perf_counter()
    rows = read_captions(captions, split=split, template=template)
    pictures = embed_images(
        encoder, images, image_names(rows), batch_size=batch_size, progress=progress, with_fingerprints=True
    )
    if known is not None:
        seen, training_images = known.seen, known.training_images
    else:
        folder, names = _training_names(captions, images, training=training, split=training_split)
        what = "training images"
        trained_on = embed_images(
            encoder, folder, names, batch_size=batch_size, progress=progress, what=what, with_fingerprints=True
        )
        seen, training_images = _seen(pictures, trained_on), len(trained_on.names)
    pairs = embed_pairs(encoder, rows, pictures, batch_size=batch_size, progress=progress)
    is_seen = np.isin(pictures.names, [one.image for one in seen])
    measured = measure_retrieval(pictures.embeddings, pairs.texts, pairs.owners)
    return OverlapReport(
        model=encoder.spec,
        queries=len(pairs.texts),
        images=len(pictures.names),
        measurements=_parts(measured, is_seen),
        seconds=time.perf_counter() - started,
        skipped=pictures.skipped,
        training_images=training_images,
        seen=seen,
    )


def overlapping(pictures: EmbeddedImages, training: EmbeddedImages) -> dict[int, list[int]]:
    """Images of one set that are versions of images of another: copies, re-encoded, resized, cropped, rotated, edited.

    Args:
        pictures: with fingerprints.
        training: with fingerprints, embedded by the same model.

    Returns:
        Rows of `training` by row of `pictures`.
    """
    count = len(pictures.names)
    embeddings = np.concatenate([pictures.embeddings, training.embeddings]).astype(np.float16)
    fingerprints = stack_fingerprints([*pictures.fingerprints, *training.fingerprints])
    verifier = PairVerifier(embeddings, fingerprints, np.concatenate([pictures.sizes, training.sizes]))
    candidates = unique_pairs(
        np.concatenate(
            [
                embedding_candidates(embeddings, least=verifier.to_cosine(LEAST_SIMILARITY)),
                coarse_candidates(fingerprints, least=LEAST_COARSE),
            ]
        )
    )
    across = candidates[(candidates[:, 0] < count) & (candidates[:, 1] >= count)]
    matches: dict[int, list[int]] = {}
    for first, second in across[verifier.relations(across) != NONE].tolist():
        matches.setdefault(first, []).append(second - count)
    return matches


def check_training(training: Path | None, split: str | None) -> None:
    """Check that exactly one training set is specified, and that its folder exists.

    Raises:
        ConfigError: otherwise.
    """
    if (training is None) == (split is None):
        raise ConfigError("specify the training set: either a folder or a split of the captions file")
    if training is not None and not training.is_dir():
        raise ConfigError(f"the folder of the training set {training} does not exist")


def _seen(pictures: EmbeddedImages, training: EmbeddedImages) -> tuple[SeenImage, ...]:
    return tuple(
        SeenImage(pictures.names[row], tuple(training.names[other] for other in others))
        for row, others in sorted(overlapping(pictures, training).items())
    )


def _training_names(
    captions: Path, images: Path, *, training: Path | None, split: str | None
) -> tuple[Path, Sequence[str]]:
    """Folder and names of the training images."""
    check_training(training, split)
    if training is None:
        return images, image_names(read_captions(captions, split=split))
    paths = sorted(path for path in training.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not paths:
        raise ConfigError(f"the folder of the training set {training} has no images")
    return training, [str(path.relative_to(training)) for path in paths]


def _parts(measured: Sequence[Measurement], is_seen: NDArray[np.bool_]) -> tuple[Measurement, ...]:
    """Each measurement over the queries of all, clean and overlapping images, if there are any."""
    parts: list[Measurement] = []
    for name, chosen in ((ALL, np.ones_like(is_seen)), (CLEAN, ~is_seen), (OVERLAP, is_seen)):
        if chosen.any():
            parts += [
                Measurement(f"{name}: {one.name}", one.values[chosen[one.groups]], one.groups[chosen[one.groups]])
                for one in measured
                if "@" in one.name and "recall" not in one.name
            ]
    return tuple(parts)
