"""Text-to-image retrieval over a captions file: how good a model is, measured without any library.

The protocol is the one of CLIP papers: every caption is a query, the picture on its row is the one right
answer, and every picture that the file names is a candidate. What those papers call R@k is a hit rate.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoders.base import Encoder, FloatMatrix
from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.images import load_image
from clipsearch.lookahead import map_ahead
from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k, mean_reciprocal_rank

__all__ = ["Caption", "Progress", "RetrievalReport", "SkippedImage", "evaluate_retrieval", "read_captions"]

Progress = Callable[[str, int, int], None]
"""Told what is being embedded (``images`` or ``captions``), how many are done, and how many there are."""

_DECODING_THREADS = 4
_SCORES_PER_CHUNK = 2**22
"""Similarities held at once: 16 MiB of float32."""


@dataclass(frozen=True)
class Caption:
    """One row of a captions file.

    Attributes:
        image: name of the picture, relative to the folder of pictures.
        text: what it is asked for with.
    """

    image: str
    text: str


@dataclass(frozen=True)
class SkippedImage:
    """A picture that could not be read; its captions are left out.

    Attributes:
        image: its name in the captions file.
        reason: why, in a few words.
    """

    image: str
    reason: str


@dataclass(frozen=True)
class RetrievalReport:
    """What a model reached.

    Attributes:
        model: spec of the encoder.
        queries: captions asked.
        images: candidates among which each was searched.
        hit_rate_at_1: share of captions whose own picture came first, 0–1.
        hit_rate_at_5: likewise among the first 5.
        hit_rate_at_10: likewise among the first 10.
        mean_reciprocal_rank: mean of 1/rank of the caption's own picture, 0–1.
        seconds: for reading, embedding and ranking.
        skipped: pictures that could not be read.
    """

    model: str
    queries: int
    images: int
    hit_rate_at_1: float
    hit_rate_at_5: float
    hit_rate_at_10: float
    mean_reciprocal_rank: float
    seconds: float
    skipped: tuple[SkippedImage, ...] = ()


def evaluate_retrieval(
    encoder: Encoder,
    captions: Path,
    images: Path,
    *,
    split: str | None = None,
    template: str | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> RetrievalReport:
    """Measure text-to-image retrieval.

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
    if not images.is_dir():
        raise ConfigError(f"the folder of pictures {images} does not exist")
    if batch_size < 1:
        raise ConfigError(f"the batch size must be at least 1, not {batch_size}")

    names = list(dict.fromkeys(row.image for row in rows))
    image_embeddings, columns, skipped = _embed_images(encoder, images, names, batch_size, progress)
    if not columns:
        raise ConfigError(f"none of the {len(names)} pictures could be read; {skipped[0].image}: {skipped[0].reason}")
    rows = [row for row in rows if row.image in columns]
    text_embeddings = _embed_texts(encoder, [row.text for row in rows], batch_size, progress)
    ranks = _ranks(text_embeddings, image_embeddings, np.array([columns[row.image] for row in rows], dtype=np.int64))
    return RetrievalReport(
        model=encoder.spec,
        queries=len(rows),
        images=len(columns),
        hit_rate_at_1=hit_rate_at_k(ranks, 1),
        hit_rate_at_5=hit_rate_at_k(ranks, 5),
        hit_rate_at_10=hit_rate_at_k(ranks, 10),
        mean_reciprocal_rank=mean_reciprocal_rank(ranks),
        seconds=time.perf_counter() - started,
        skipped=tuple(skipped),
    )


def read_captions(path: Path, *, split: str | None = None, template: str | None = None) -> list[Caption]:
    """Read a captions file; see `evaluate_retrieval` for its form.

    Tab-separated files have no quoting: a quotation mark stands for itself.

    Raises:
        ConfigError: it cannot be read, lacks a column, has a broken row, or has no row of `split`.
    """
    if template is not None and "{}" not in template:
        raise ConfigError(f"the template {template!r} has no {{}} where the caption goes")
    rows = _table_rows(path)
    _, header = next(rows, (0, []))
    columns = [name.strip().lower() for name in header]
    text_column = "caption" if "caption" in columns else "label"
    for wanted in ("image", text_column):
        if wanted not in columns:
            missing = "image" if wanted == "image" else "caption (or label)"
            raise ConfigError(f"{path} has no column {missing}; its first line names {', '.join(columns) or 'nothing'}")
    if split is not None and "split" not in columns:
        raise ConfigError(f"{path} has no column split, so that --split {split} cannot be chosen")

    captions: list[Caption] = []
    splits: set[str] = set()
    for number, fields in rows:
        if len(fields) != len(columns):
            raise ConfigError(f"{path} line {number} has {len(fields)} columns instead of {len(columns)}")
        row = {name: field.strip() for name, field in zip(columns, fields, strict=True)}
        splits.add(row.get("split", ""))
        if split is not None and row["split"] != split:
            continue
        if not row["image"] or not row[text_column]:
            raise ConfigError(f"{path} line {number} has an empty {text_column if row['image'] else 'image'}")
        text = row[text_column] if template is None else template.replace("{}", row[text_column])
        captions.append(Caption(image=row["image"], text=text))
    if not captions and split is not None and splits:
        raise ConfigError(f"{path} has no rows of the split {split}; there are: {', '.join(sorted(splits))}")
    if not captions:
        raise ConfigError(f"{path} has no captions")
    return captions


def _table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line number and the fields of each row that is not blank, the header included."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                reader = csv.reader(file, strict=True)
            else:
                reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for fields in reader:
                if any(field.strip() for field in fields):
                    yield reader.line_num, fields
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"the captions file {path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the captions file {path} is not UTF-8 text") from error
    except csv.Error as error:
        raise ConfigError(f"the captions file {path} is damaged: {error}") from error


def _embed_images(
    encoder: Encoder, folder: Path, names: Sequence[str], batch_size: int, progress: Progress | None
) -> tuple[FloatMatrix, dict[str, int], list[SkippedImage]]:
    """Embed each picture once; float32 [images, dim], the row of each name, and what was skipped."""
    columns: dict[str, int] = {}
    skipped: list[SkippedImage] = []
    embeddings: list[FloatMatrix] = []

    def decode(name: str) -> tuple[str, NDArray[np.uint8] | ImageReadError]:
        try:
            return name, encoder.transform(load_image(folder / name, min_side=encoder.transform.min_side).image)
        except ImageReadError as error:
            return name, error

    decoded = map_ahead(decode, names, workers=_DECODING_THREADS, look_ahead=2 * batch_size)
    for start in range(0, len(names), batch_size):
        batch: list[NDArray[np.uint8]] = []
        for name, pixels in islice(decoded, batch_size):
            if isinstance(pixels, ImageReadError):
                skipped.append(SkippedImage(name, pixels.reason))
            else:
                columns[name] = len(columns)
                batch.append(pixels)
        if batch:
            embeddings.append(encoder.encode_pixels(np.stack(batch)))
        if progress is not None:
            progress("images", min(start + batch_size, len(names)), len(names))
    return np.concatenate([np.empty((0, encoder.dim), np.float32), *embeddings]), columns, skipped


def _embed_texts(encoder: Encoder, texts: Sequence[str], batch_size: int, progress: Progress | None) -> FloatMatrix:
    """Embed each distinct text once; float32 [texts, dim]."""
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    ordered = list(distinct)
    embeddings = []
    for start in range(0, len(ordered), batch_size):
        embeddings.append(encoder.encode_texts(ordered[start : start + batch_size]))
        if progress is not None:
            progress("captions", min(start + batch_size, len(ordered)), len(ordered))
    return np.concatenate(embeddings)[[distinct[text] for text in texts]]


def _ranks(texts: FloatMatrix, images: FloatMatrix, relevant: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank of each text's own picture, a bounded block of similarities at a time; int64 [texts]."""
    rows = max(1, _SCORES_PER_CHUNK // len(images))
    return np.concatenate(
        [
            first_relevant_ranks(texts[start : start + rows] @ images.T, relevant[start : start + rows])
            for start in range(0, len(texts), rows)
        ]
    )
