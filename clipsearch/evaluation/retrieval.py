"""Text-to-image and image-to-text retrieval over a captions file, without any library.

The protocol is the one of CLIP papers: every caption is a query, the picture on its row is the one right answer, and
every picture that the file names is a candidate; the other way round every picture is a query, each of its captions
is right, and every caption is a candidate. What those papers call R@k is a hit rate.
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
        """Share of captions whose own picture came first, 0–1."""
        return self.value(f"{TEXT_TO_IMAGE}hit rate @1")

    @property
    def hit_rate_at_5(self) -> float:
        """Likewise among the first 5."""
        return self.value(f"{TEXT_TO_IMAGE}hit rate @5")

    @property
    def hit_rate_at_10(self) -> float:
        """Likewise among the first 10."""
        return self.value(f"{TEXT_TO_IMAGE}hit rate @10")

    @property
    def mean_reciprocal_rank(self) -> float:
        """Mean of 1/rank of the caption's own picture, 0–1."""
        return self.value(f"{TEXT_TO_IMAGE}MRR")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures and their captions, embedded.

    Attributes:
        pictures: those that could be read.
        texts: float32 [captions, dim], of the captions of these pictures.
        owners: int64 [captions], the row of each caption's picture.
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
        captions: a table with the columns ``image`` and ``caption`` (or ``label``), and maybe ``split``;
            tab-separated, or comma-separated if its name ends in ``.csv``.
        images: the folder that the ``image`` column is relative to.
        split: use the rows of this split only.
        template: what to wrap each caption in, for example ``a photo of a {}``.
        batch_size: pictures (or captions) embedded at once.
        progress: told how far it is.

    Returns:
        The figures. A caption that several rows share is asked once per row, and only the picture of
        that row counts as right.

    Raises:
        ConfigError: the table, the folder, the split or the template is wrong, or no picture can be read.
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
    """The pictures that captions name, each once, in order."""
    return list(dict.fromkeys(row.image for row in rows))


def embed_pairs(
    encoder: Encoder,
    rows: list[Caption],
    pictures: EmbeddedImages,
    *,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> Pairs:
    """Embed the captions of pictures that could be read."""
    row_of = pictures.rows()
    kept = [row for row in rows if row.image in row_of]
    texts = embed_texts(encoder, [row.text for row in kept], batch_size=batch_size, progress=progress)
    return Pairs(pictures, texts, np.array([row_of[row.image] for row in kept], dtype=np.int64))


def measure_retrieval(images: FloatMatrix, texts: FloatMatrix, owners: NDArray[np.int64]) -> tuple[Measurement, ...]:
    """Everything that is measured in both directions.

    Args:
        images: float32 [images, dim], unit rows, each with one caption at least.
        texts: float32 [captions, dim], unit rows.
        owners: int64 [captions], the row of each caption's picture.
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
    """Cosines of some pictures with their captions, to be drawn as a heatmap.

    Args:
        encoder: the model.
        captions: as `evaluate_retrieval`.
        images: likewise.
        split: likewise.
        template: likewise.
        pairs: how many pictures, from all over the file, each with its first caption.

    Returns:
        The captions, and float32 [pictures, captions].

    Raises:
        ConfigError: as `evaluate_retrieval`.
    """
    first = {row.image: row.text for row in reversed(read_captions(captions, split=split, template=template))}
    names = list(first)[::-1]
    chosen = [names[place] for place in np.unique(np.linspace(0, len(names) - 1, min(pairs, len(names))).astype(int))]
    pictures = embed_images(encoder, images, chosen)
    texts = [first[name] for name in pictures.names]
    return texts, np.asarray(pictures.embeddings @ embed_texts(encoder, texts).T, np.float32)
