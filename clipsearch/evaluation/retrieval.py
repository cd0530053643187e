"""Text-to-image and image-to-text retrieval on a captions file.

The protocol of CLIP papers. Text-to-image: every caption is a query, its image is relevant, all images are candidates.
Image-to-text: every image is a query, its captions are relevant, all captions are candidates. R@k in these papers is a
hit rate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.captions import Caption, read_captions
from clipsearch.evaluation.embedding import BATCH, EmbeddedImages, Progress, embed_images, embed_texts
from clipsearch.evaluation.measurements import Measurement, retrieval_measurements
from clipsearch.evaluation.ranking import grouped, rank_among
from clipsearch.evaluation.report import EvaluationReport
from clipsearch.models.encoder import Encoder, FloatMatrix

TEXT_TO_IMAGE = "text-to-image "
IMAGE_TO_TEXT = "image-to-text "


@dataclass(frozen=True, kw_only=True)
class RetrievalReport(EvaluationReport):
    """Retrieval in both directions; queries are captions."""

    task: ClassVar[str] = "retrieval"

    @property
    def hit_rate_at_1(self) -> float:
        """Text-to-image hit rate @1, 0–1."""
        return self.value(f"{TEXT_TO_IMAGE}hit rate @1")

    @property
    def hit_rate_at_5(self) -> float:
        """Text-to-image hit rate @5, 0–1."""
        return self.value(f"{TEXT_TO_IMAGE}hit rate @5")

    @property
    def hit_rate_at_10(self) -> float:
        """Text-to-image hit rate @10, 0–1."""
        return self.value(f"{TEXT_TO_IMAGE}hit rate @10")

    @property
    def mean_reciprocal_rank(self) -> float:
        """Text-to-image mean reciprocal rank, 0–1."""
        return self.value(f"{TEXT_TO_IMAGE}MRR")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Embedded images and captions.

    Attributes:
        pictures: the readable images.
        texts: embeddings of their captions, float32 [captions, dim].
        owners: row of each caption's image, int64 [captions].
    """

    pictures: EmbeddedImages
    texts: FloatMatrix
    owners: NDArray[np.int64]


def evaluate_retrieval(
    encoder: Encoder,
    captions: Path,
    images: Path,
    *,
    split: str | None = None,
    template: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> RetrievalReport:
    """Measure retrieval in both directions.

    Args:
        encoder: the model.
        captions: a captions file; see `read_captions`.
        images: the image folder.
        split: use only the rows of this split.
        template: text around each caption, for example ``a photo of a {}``.
        batch_size: images or captions per batch.
        progress: progress callback.

    Returns:
        The report. A caption in several rows is a query per row, with only the image of that row as relevant.

    Raises:
        ConfigError: the table, folder, split or template is invalid, or no image can be read.
        ModelError: the model fails.
    """
    started = time.perf_counter()
    rows = read_captions(captions, split=split, template=template)
    pictures = embed_images(encoder, images, image_names(rows), batch_size=batch_size, progress=progress)
    pairs = embed_pairs(encoder, rows, pictures, batch_size=batch_size, progress=progress)
    return RetrievalReport(
        model=encoder.spec,
        queries=len(pairs.texts),
        images=len(pictures.names),
        measurements=measure_retrieval(pictures.embeddings, pairs.texts, pairs.owners),
        seconds=time.perf_counter() - started,
        skipped=pictures.skipped,
    )


def image_names(rows: list[Caption]) -> list[str]:
    """Distinct image names of captions, in order."""
    return list(dict.fromkeys(row.image for row in rows))


def embed_pairs(
    encoder: Encoder,
    rows: list[Caption],
    pictures: EmbeddedImages,
    *,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> Pairs:
    """Embed the captions of the readable images."""
    row_of = pictures.rows()
    kept = [row for row in rows if row.image in row_of]
    texts = embed_texts(encoder, [row.text for row in kept], batch_size=batch_size, progress=progress)
    return Pairs(pictures, texts, np.array([row_of[row.image] for row in kept], dtype=np.int64))


def measure_retrieval(images: FloatMatrix, texts: FloatMatrix, owners: NDArray[np.int64]) -> tuple[Measurement, ...]:
    """All measurements in both directions.

    Args:
        images: float32 [images, dim], unit rows, each with at least one caption.
        texts: float32 [captions, dim], unit rows.
        owners: row of each caption's image, int64 [captions].
    """
    to_images = rank_among(texts, images, owners, np.arange(len(texts) + 1, dtype=np.int64))
    to_texts = rank_among(images, texts, *grouped(owners, len(images)))
    return (
        *retrieval_measurements(to_images, owners, prefix=TEXT_TO_IMAGE),
        *retrieval_measurements(to_texts, np.arange(len(images), dtype=np.int64), prefix=IMAGE_TO_TEXT),
    )


def pair_similarities(
    encoder: Encoder,
    captions: Path,
    images: Path,
    *,
    split: str | None = None,
    template: str | None = None,
    pairs: int = 24,
) -> tuple[list[str], NDArray[np.float32]]:
    """Cosine similarities of images and captions, for a heatmap.

    Args:
        encoder: the model.
        captions: as for `evaluate_retrieval`.
        images: as for `evaluate_retrieval`.
        split: as for `evaluate_retrieval`.
        template: as for `evaluate_retrieval`.
        pairs: number of images, evenly spaced over the file, each with its first caption.

    Returns:
        The captions, and float32 [images, captions].

    Raises:
        ConfigError: as `evaluate_retrieval`.
    """
    first = {row.image: row.text for row in reversed(read_captions(captions, split=split, template=template))}
    names = list(first)[::-1]
    chosen = [names[place] for place in np.unique(np.linspace(0, len(names) - 1, min(pairs, len(names))).astype(int))]
    pictures = embed_images(encoder, images, chosen)
    texts = [first[name] for name in pictures.names]
    return texts, np.asarray(pictures.embeddings @ embed_texts(encoder, texts).T, np.float32)
