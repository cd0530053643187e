"""Robustness: the effect of image corruptions on retrieval."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from clipsearch.errors import ConfigError
from clipsearch.evaluation.captions import read_captions
from clipsearch.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corruption
from clipsearch.evaluation.embedding import BATCH, Progress, embed_images
from clipsearch.evaluation.measurements import Measurement
from clipsearch.evaluation.report import Contrast, EvaluationReport
from clipsearch.evaluation.retrieval import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    embed_pairs,
    image_names,
    measure_retrieval,
)
from clipsearch.models.encoder import Encoder

CLEAN = "clean"

MEASURES = (f"{TEXT_TO_IMAGE}hit rate @1", f"{TEXT_TO_IMAGE}hit rate @10", f"{IMAGE_TO_TEXT}hit rate @1")
"""The measurements of each condition."""


@dataclass(frozen=True, kw_only=True)
class RobustnessReport(EvaluationReport):
    """Retrieval with clean and corrupted images; each contrast is a gap to clean.

    Attributes:
        severity: severity of the corruptions, 1 to 5.
        corruptions: their names, in order.
    """

    task: ClassVar[str] = "robustness"
    severity: int
    corruptions: tuple[str, ...]

    def details(self) -> Mapping[str, Any]:
        """Severity and corruptions."""
        return {"severity": self.severity, "corruptions": list(self.corruptions)}


def evaluate_robustness(
    encoder: Encoder,
    captions: Path,
    images: Path,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    severity: int = 3,
    seed: int = 0,
    split: str | None = None,
    template: str | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> RobustnessReport:
    """Measure retrieval with clean images and with each corruption.

    Args:
        encoder: the model.
        captions: as for `evaluate_retrieval`; with labels, image-to-text hit rate @1 is zero-shot accuracy.
        images: as for `evaluate_retrieval`.
        corruptions: names of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: seed of the noise.
        split: as for `evaluate_retrieval`.
        template: as for `evaluate_retrieval`.
        batch_size: images per batch.
        progress: progress callback.

    Raises:
        ConfigError: as `evaluate_retrieval`, or the corruption or severity is unknown.
        ModelError: the model fails.
    """
    unknown = [name for name in corruptions if name not in CORRUPTIONS]
    if unknown:
        raise ConfigError(f"unknown corruption {unknown[0]}; available are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ConfigError(f"the severity must be {SEVERITIES[0]} to {SEVERITIES[-1]}, not {severity}")
    started = time.perf_counter()
    rows = read_captions(captions, split=split, template=template)
    clean = embed_images(encoder, images, image_names(rows), batch_size=batch_size, progress=progress)
    pairs = embed_pairs(encoder, rows, clean, batch_size=batch_size, progress=progress)
    measurements = _named(CLEAN, measure_retrieval(clean.embeddings, pairs.texts, pairs.owners))
    for name in corruptions:
        alteration = corruption(name, severity, side=encoder.transform.min_side, seed=seed)
        altered = embed_images(
            encoder,
            images,
            clean.names,
            batch_size=batch_size,
            progress=progress,
            what=f"images, {name}",
            alteration=alteration,
        )
        measurements += _named(name, measure_retrieval(altered.embeddings, pairs.texts, pairs.owners))
    return RobustnessReport(
        model=encoder.spec,
        queries=len(pairs.texts),
        images=len(clean.names),
        measurements=tuple(measurements),
        contrasts=tuple(
            Contrast(f"{name}: {measure}", f"{CLEAN}: {measure}", f"{name}: {measure}")
            for name in corruptions
            for measure in MEASURES
        ),
        seconds=time.perf_counter() - started,
        skipped=clean.skipped,
        severity=severity,
        corruptions=tuple(corruptions),
    )


def _named(condition: str, measurements: Sequence[Measurement]) -> list[Measurement]:
    return [replace(one, name=f"{condition}: {one.name}") for one in measurements if one.name in MEASURES]
