"""Data overlap: which pictures of an evaluation set were seen in training, and what figures owe to them.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 5: a
duplicate detector splits the evaluation set into *overlap* and *clean*, and the figures of all, clean and overlap are
compared. The detector here is the engine's own (`clipsearch.retrieval.duplicates`).
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
from clipsearch.media.decoding import IMAGE_SUFFIXES
from clipsearch.media.perceptual_hash import stack_fingerprints
from clipsearch.models.encoder import Encoder
from clipsearch.retrieval.duplicates.candidates import coarse_candidates, embedding_candidates, unique_pairs
from clipsearch.retrieval.duplicates.verification import LEAST_COARSE, LEAST_SIMILARITY, NONE, PairVerifier

ALL, CLEAN, OVERLAP = "all", "without overlap", "overlap only"


@dataclass(frozen=True)
class SeenImage:
    """A picture of the evaluation set that the training set has as well.

    Attributes:
        image: its name in the captions file.
        training: names of the pictures of the training set that show the same.
    """

    image: str
    training: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OverlapReport(EvaluationReport):
    """Retrieval over all pictures, and over those that were and were not in the training set.

    Candidates are always all pictures: only who is asked changes, so that the figures can be compared.

    Attributes:
        training_images: pictures of the training set that could be read.
        seen: pictures of the evaluation set that it has as well.
    """

    task: ClassVar[str] = "overlap"
    training_images: int
    seen: tuple[SeenImage, ...]

    def details(self) -> Mapping[str, Any]:
        """What overlaps."""
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
    """Find what a training set and the evaluation set share, and measure retrieval with and without it.

    Args:
        encoder: the model that is measured; its embeddings find the candidates for duplicates, too.
        captions: as `evaluate_retrieval`.
        images: likewise.
        training: the folder of the training set; all pictures in it and below.
        training_split: instead of a folder, a split of `captions`.
        known: another model's report with the same arguments: what overlaps is taken from there, so that both
            are asked the same.
        split: as `evaluate_retrieval`.
        template: likewise.
        batch_size: likewise.
        progress: told how far it is.

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
    """Which pictures of one set show the same as pictures of another.

    Args:
        pictures: with fingerprints.
        training: likewise, embedded by the same model.

    Returns:
        Rows of `pictures`, each with the rows of `training` that are the same photo: copies, re-encoded or resized
        ones, crops, turns and edits.
    """
    count = len(pictures.names)
    embeddings = np.concatenate([pictures.embeddings, training.embeddings]).astype(np.float16)
    fingerprints = stack_fingerprints([*pictures.fingerprints, *training.fingerprints])
    judge = PairVerifier(embeddings, fingerprints, np.concatenate([pictures.sizes, training.sizes]))
    candidates = unique_pairs(
        np.concatenate(
            [
                embedding_candidates(embeddings, least=judge.to_cosine(LEAST_SIMILARITY)),
                coarse_candidates(fingerprints, least=LEAST_COARSE),
            ]
        )
    )
    across = candidates[(candidates[:, 0] < count) & (candidates[:, 1] >= count)]
    found: dict[int, list[int]] = {}
    for first, second in across[judge.relations(across) != NONE].tolist():
        found.setdefault(first, []).append(second - count)
    return found


def check_training(training: Path | None, split: str | None) -> None:
    """Make sure that one training set is named, and is there.

    Raises:
        ConfigError: it is not.
    """
    if (training is None) == (split is None):
        raise ConfigError("name the training set: either its folder or a split of the captions file")
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
    """The folder and the names of the training set's pictures."""
    check_training(training, split)
    if training is None:
        return images, image_names(read_captions(captions, split=split))
    found = sorted(path for path in training.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise ConfigError(f"the folder of the training set {training} has no pictures")
    return training, [str(path.relative_to(training)) for path in found]


def _parts(measured: Sequence[Measurement], is_seen: NDArray[np.bool_]) -> tuple[Measurement, ...]:
    """Each measurement over all queries, and over those about clean and overlapping pictures, where there are any."""
    parts: list[Measurement] = []
    for name, wanted in ((ALL, np.ones_like(is_seen)), (CLEAN, ~is_seen), (OVERLAP, is_seen)):
        if wanted.any():
            parts += [
                Measurement(f"{name}: {one.name}", one.values[wanted[one.groups]], one.groups[wanted[one.groups]])
                for one in measured
                if "@" in one.name and "recall" not in one.name
            ]
    return tuple(parts)
