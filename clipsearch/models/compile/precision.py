"""Chooses the precision of each tower by measured speed, among those with parity with the source."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.models.compile.check_set import check_texts
from clipsearch.models.compile.quantization import is_convolutional, quantize_dynamic_int8, quantize_static_int8
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.manifest import Candidate
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.onnx.sessions import DATA_SUFFIX, open_session, save_optimized
from clipsearch.models.parity import CheckEmbeddings, Parity, measure_parity

logger = logging.getLogger(__name__)

FP32 = "fp32"

MIN_GAIN = 1.1
"""Minimum speed-up over fp32 of a quantized tower."""

_SPEED_BATCH = 8
_ROUNDS = 3
_TEXT_ROUNDS = 12

Tower = Literal["image", "text"]
_TOWERS: tuple[Tower, Tower] = ("image", "text")


@dataclass(frozen=True)
class TowerVariant:
    """A tower at one precision: the path of its optimized graph, with its weights beside it."""

    tower: Tower
    precision: str
    path: Path

    @property
    def bytes(self) -> int:
        """Size of its files."""
        files = (self.path, self.path.with_name(self.path.name + DATA_SUFFIX))
        return sum(file.stat().st_size for file in files if file.is_file())


@dataclass(frozen=True)
class Choice:
    """The chosen precisions.

    Attributes:
        variants: the chosen variant by tower.
        parity: parity of both with fp32; ``None`` if both are fp32.
        candidates: all measured variants.
    """

    variants: Mapping[Tower, TowerVariant]
    parity: Parity | None
    candidates: tuple[Candidate, ...]


def make_variants(raw: Path, prepared: Path, scratch: Path, pixels: NDArray[np.uint8]) -> list[TowerVariant]:
    """Make all candidate variants of both towers.

    Args:
        raw: folder with the exported towers.
        prepared: folder with the optimized fp32 towers.
        scratch: folder for the other variants.
        pixels: calibration images, uint8 [n, height, width, 3].
    """
    variants = []
    for tower in _TOWERS:
        source = raw / f"{tower}.onnx"
        variants.append(TowerVariant(tower, FP32, prepared / source.name))
        is_large = any(raw.glob(f"{source.name}?*"))  # separate weights, because they exceed 2 GB
        makers: dict[str, Callable[[Path], None]] = {
            "int8 dynamic": partial(quantize_dynamic_int8, source, external=is_large)
        }
        if tower == "image" and not is_large and is_convolutional(source):
            makers["int8 static"] = partial(quantize_static_int8, source, pixels=pixels)
        for kind, make in makers.items():
            graph = scratch / f"{kind}-{source.name}".replace(" ", "-")
            try:
                make(graph)
                variants.append(_prepared(tower, kind, graph))
            except ModelError as error:  # fp32 remains
                logger.warning("skipping %s: %s", kind, error)
    return variants


def choose_variants(model: Path, variants: Sequence[TowerVariant], pixels: NDArray[np.uint8]) -> Choice:
    """Measure speed and parity of every variant and choose the fastest of each tower with parity.

    Args:
        model: the model's directory with both towers in fp32.
        variants: the candidates, including fp32.
        pixels: images to compare on, uint8 [n, height, width, 3], n ≥ 1; the texts are those of the check set.
    """
    texts = check_texts()
    runners = {variant: CompiledEncoder(model, towers={variant.path.name: variant.path}) for variant in variants}
    source = CheckEmbeddings(*(_embed(runners[_fp32(variants, tower)], tower, pixels, texts) for tower in _TOWERS))
    rounded = {
        variant: _in_place(source, variant.tower, _embed(runners[variant], variant.tower, pixels, texts))
        for variant in variants
    }
    speeds = {tower: _speeds({f: runners[f] for f in variants if f.tower == tower}, tower, pixels) for tower in _TOWERS}
    tried = {
        variant: _candidate(variant, speeds[variant.tower][variant], measure_parity(source, measured))
        for variant, measured in rounded.items()
    }
    kept: dict[Tower, TowerVariant] = {tower: cheapest_with_parity(tried, _fp32(variants, tower)) for tower in _TOWERS}
    parity = _together(kept, rounded, source)
    if parity is not None and not parity.shown:  # each passed alone; the image tower's speed matters more
        kept["text"] = _fp32(variants, "text")
        parity = _together(kept, rounded, source)
    return Choice(
        kept, parity, tuple(replace(measured, kept=variant in kept.values()) for variant, measured in tried.items())
    )


def _prepared(tower: Tower, precision: str, graph: Path) -> TowerVariant:
    folder = graph.with_suffix("")
    folder.mkdir()
    save_optimized(graph, folder / f"{tower}.onnx")
    return TowerVariant(tower, precision, folder / f"{tower}.onnx")


def _fp32(variants: Sequence[TowerVariant], tower: Tower) -> TowerVariant:
    return next(variant for variant in variants if (variant.tower, variant.precision) == (tower, FP32))


def _embed(encoder: CompiledEncoder, tower: Tower, pixels: NDArray[np.uint8], texts: Sequence[str]) -> FloatMatrix:
    return encoder.encode_pixels(pixels) if tower == "image" else encoder.encode_texts(texts)


def _in_place(source: CheckEmbeddings, tower: Tower, rows: FloatMatrix) -> CheckEmbeddings:
    return replace(source, **{f"{tower}s": rows})


def _speeds(
    runners: Mapping[TowerVariant, CompiledEncoder], tower: Tower, pixels: NDArray[np.uint8]
) -> dict[TowerVariant, tuple[float, float]]:
    """Images or texts per second, and loading time in milliseconds, of each variant.

    The best of several interleaved rounds, because other load on the machine only slows down.
    """
    batch = np.resize(pixels, (_SPEED_BATCH, *pixels.shape[1:]))
    taken: dict[TowerVariant, list[float]] = {variant: [] for variant in runners}
    loaded: dict[TowerVariant, list[float]] = {variant: [] for variant in runners}
    for _ in range(_ROUNDS if tower == "image" else _TEXT_ROUNDS):
        for variant, encoder in runners.items():
            taken[variant].append(_timed(lambda e=encoder: _embed(e, tower, batch, ["a photo of a dog"])))  # type: ignore[misc]
    for _ in range(_ROUNDS):
        for variant in runners:
            loaded[variant].append(_timed(lambda f=variant: open_session(f.path)))  # type: ignore[misc]
    rows = len(batch) if tower == "image" else 1
    return {variant: (rows / min(taken[variant]), 1000 * min(loaded[variant])) for variant in runners}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _candidate(variant: TowerVariant, speed: tuple[float, float], parity: Parity) -> Candidate:
    per_second, load_ms = speed
    return Candidate(
        variant.tower, variant.precision, per_second, load_ms, variant.bytes, parity.cosine, parity.overlap
    )


def cheapest_with_parity(tried: Mapping[TowerVariant, Candidate], fp32: TowerVariant) -> TowerVariant:
    """The cheapest variant of the tower with parity; fp32 unless the gain is at least `MIN_GAIN`."""
    costs = {
        variant: _cost(measured)
        for variant, measured in tried.items()
        if variant.tower == fp32.tower and variant != fp32 and Parity(measured.cosine, measured.overlap).shown
    }
    best = min(costs, key=lambda variant: costs[variant], default=fp32)
    return best if best != fp32 and costs[best] * MIN_GAIN <= _cost(tried[fp32]) else fp32


def _cost(candidate: Candidate) -> float:
    """Milliseconds per image in a batch, or per text including loading, as in a search."""
    return 1000 / candidate.speed + (candidate.load_ms if candidate.tower == "text" else 0.0)


def _together(
    kept: Mapping[Tower, TowerVariant], rounded: Mapping[TowerVariant, CheckEmbeddings], source: CheckEmbeddings
) -> Parity | None:
    """Parity of both chosen towers together; ``None`` if both are fp32."""
    image, text = kept["image"], kept["text"]
    if image.precision == text.precision == FP32:
        return None
    return measure_parity(source, CheckEmbeddings(rounded[image].images, rounded[text].texts))
