"""Which form of each tower to keep: measured on this machine, and only what shows parity with the source."""

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
from clipsearch.models.compile.parity_check import CheckEmbeddings, measure_parity
from clipsearch.models.compile.quantization import is_convolutional, quantize_dynamic_int8, quantize_static_int8
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.manifest import Candidate
from clipsearch.models.onnx.encoder import CompiledEncoder
from clipsearch.models.onnx.sessions import DATA_SUFFIX, open_session, save_optimised
from clipsearch.models.parity import Parity

logger = logging.getLogger(__name__)

FP32 = "fp32"

MIN_GAIN = 1.1
"""How many times faster than fp32 a rounded tower has to be to be worth it."""

_SPEED_BATCH = 8
_ROUNDS = 3
_TEXT_ROUNDS = 12

Tower = Literal["image", "text"]
_TOWERS: tuple[Tower, Tower] = ("image", "text")


@dataclass(frozen=True)
class Form:
    """One form of a tower, prepared for opening: its graph and, beside it, its weights."""

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
    """What was chosen, and how it was found.

    Attributes:
        forms: the form to keep, by tower.
        parity: of both together with fp32; ``None`` if both are fp32.
        candidates: all that were tried.
    """

    forms: Mapping[Tower, Form]
    parity: Parity | None
    candidates: tuple[Candidate, ...]


def make_forms(raw: Path, prepared: Path, scratch: Path, pixels: NDArray[np.uint8]) -> list[Form]:
    """Every form of both towers that is worth trying.

    Args:
        raw: folder with the towers as they were exported.
        prepared: folder with them in fp32, prepared for opening.
        scratch: folder for the others.
        pixels: uint8 [n, height, width, 3], to calibrate on.
    """
    forms = []
    for tower in _TOWERS:
        source = raw / f"{tower}.onnx"
        forms.append(Form(tower, FP32, prepared / source.name))
        large = any(raw.glob(f"{source.name}?*"))  # weights beside the graph, because they are more than 2 GB
        makers: dict[str, Callable[[Path], None]] = {
            "int8 dynamic": partial(quantize_dynamic_int8, source, external=large)
        }
        if tower == "image" and not large and is_convolutional(source):
            makers["int8 static"] = partial(quantize_static_int8, source, pixels=pixels)
        for kind, make in makers.items():
            graph = scratch / f"{kind}-{source.name}".replace(" ", "-")
            try:
                make(graph)
                forms.append(_prepared(tower, kind, graph))
            except ModelError as error:  # fp32 is always there
                logger.warning("%s not tried: %s", kind, error)
    return forms


def choose_forms(model: Path, forms: Sequence[Form], pixels: NDArray[np.uint8]) -> Choice:
    """Measure speed and parity of every form and choose the fastest of each tower that shows parity.

    Args:
        model: the model's directory with both towers in fp32.
        forms: what there is to choose from, fp32 included.
        pixels: uint8 [n, height, width, 3], to compare on, from 1; texts are those of the check set.
    """
    texts = check_texts()
    runners = {form: CompiledEncoder(model, towers={form.path.name: form.path}) for form in forms}
    source = CheckEmbeddings(*(_embed(runners[_fp32(forms, tower)], tower, pixels, texts) for tower in _TOWERS))
    rounded = {form: _in_place(source, form.tower, _embed(runners[form], form.tower, pixels, texts)) for form in forms}
    speeds = {tower: _speeds({f: runners[f] for f in forms if f.tower == tower}, tower, pixels) for tower in _TOWERS}
    tried = {
        form: _candidate(form, speeds[form.tower][form], measure_parity(source, found))
        for form, found in rounded.items()
    }
    kept: dict[Tower, Form] = {tower: _best(tried, _fp32(forms, tower)) for tower in _TOWERS}
    parity = _together(kept, rounded, source)
    if parity is not None and not parity.shown:  # each passed alone; the image tower's speed is worth more
        kept["text"] = _fp32(forms, "text")
        parity = _together(kept, rounded, source)
    return Choice(kept, parity, tuple(replace(found, kept=form in kept.values()) for form, found in tried.items()))


def _prepared(tower: Tower, precision: str, graph: Path) -> Form:
    folder = graph.with_suffix("")
    folder.mkdir()
    save_optimised(graph, folder / f"{tower}.onnx")
    return Form(tower, precision, folder / f"{tower}.onnx")


def _fp32(forms: Sequence[Form], tower: Tower) -> Form:
    return next(form for form in forms if (form.tower, form.precision) == (tower, FP32))


def _embed(encoder: CompiledEncoder, tower: Tower, pixels: NDArray[np.uint8], texts: Sequence[str]) -> FloatMatrix:
    return encoder.encode_pixels(pixels) if tower == "image" else encoder.encode_texts(texts)


def _in_place(source: CheckEmbeddings, tower: Tower, rows: FloatMatrix) -> CheckEmbeddings:
    return replace(source, **{f"{tower}s": rows})


def _speeds(
    runners: Mapping[Form, CompiledEncoder], tower: Tower, pixels: NDArray[np.uint8]
) -> dict[Form, tuple[float, float]]:
    """Pictures or texts a second, and milliseconds to open, of each form.

    The forms take turns and the best of some rounds counts, because other work on the machine only slows down.
    """
    batch = np.resize(pixels, (_SPEED_BATCH, *pixels.shape[1:]))
    taken: dict[Form, list[float]] = {form: [] for form in runners}
    opened: dict[Form, list[float]] = {form: [] for form in runners}
    for _ in range(_ROUNDS if tower == "image" else _TEXT_ROUNDS):
        for form, encoder in runners.items():
            taken[form].append(_timed(lambda e=encoder: _embed(e, tower, batch, ["a photo of a dog"])))  # type: ignore[misc]
    for _ in range(_ROUNDS):
        for form in runners:
            opened[form].append(_timed(lambda f=form: open_session(f.path)))  # type: ignore[misc]
    rows = len(batch) if tower == "image" else 1
    return {form: (rows / min(taken[form]), 1000 * min(opened[form])) for form in runners}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _candidate(form: Form, speed: tuple[float, float], parity: Parity) -> Candidate:
    per_second, load_ms = speed
    return Candidate(form.tower, form.precision, per_second, load_ms, form.bytes, parity.cosine, parity.overlap)


def _best(tried: Mapping[Form, Candidate], fp32: Form) -> Form:
    """The cheapest form of fp32's tower that shows parity; fp32 itself unless another gains `MIN_GAIN`."""
    costs = {
        form: _cost(found)
        for form, found in tried.items()
        if form.tower == fp32.tower and form != fp32 and Parity(found.cosine, found.overlap).shown
    }
    best = min(costs, key=lambda form: costs[form], default=fp32)
    return best if best != fp32 and costs[best] * MIN_GAIN <= _cost(tried[fp32]) else fp32


def _cost(candidate: Candidate) -> float:
    """Milliseconds: of a picture among many; of a text, with the opening before it, as in a search."""
    return 1000 / candidate.speed + (candidate.load_ms if candidate.tower == "text" else 0.0)


def _together(
    kept: Mapping[Tower, Form], rounded: Mapping[Form, CheckEmbeddings], source: CheckEmbeddings
) -> Parity | None:
    """Parity of both chosen towers at once; ``None`` if both are fp32."""
    image, text = kept["image"], kept["text"]
    if image.precision == text.precision == FP32:
        return None
    return measure_parity(source, CheckEmbeddings(rounded[image].images, rounded[text].texts))
