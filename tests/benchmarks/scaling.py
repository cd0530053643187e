"""How indexing grows with the cores, and how close it comes to its slowest stage.

Cores are taken away through the process's affinity, so that each number of cores is measured on the same machine.

Where cores or a GPU are missing, the encoder is replaced by one that sleeps for as long as a GPU takes for a batch: the
rest of the pipeline is real. Its rate is to be that of the slowest stage alone, whichever that is.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from clipsearch.library import Library
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.models.encoder import FloatMatrix, l2_normalize, transform_images
from clipsearch.models.parity import Parity
from clipsearch.system.cpu import available_cores
from tests.benchmarks.indexing import photos_of
from tests.benchmarks.limits import commit_rate, decode_rate, scanned_files
from tests.benchmarks.machine import limit_cores
from tests.benchmarks.one_run import index_in_new_process, timed_index
from tests.benchmarks.photos import SIZES
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import Figures, say

CORES = (1, 2, 4, 8, 16, 32, 64)
SIZE_COUNTS = {"0.3 MP": 400, "12 MP": 120}
QUICK_COUNTS = {"0.3 MP": 80, "12 MP": 40}
SIMULATED = 960
QUICK_SIMULATED = 320
BATCH = 64
ROUNDS = 3
GPU_RATES = {"decode-bound": 20.0, "embed-bound": 0.4}
"""Rates of the simulated GPU, as multiples of the decoding rate of this machine."""


def measure(setting: Setting) -> Figures:
    """Images/s by cores; and the simulation."""
    return {"cores": _by_cores(setting), "simulation": simulate(setting)}


def _by_cores(setting: Setting) -> Figures:
    most = available_cores()
    before = os.sched_getaffinity(0)
    counts = QUICK_COUNTS if setting.quick else SIZE_COUNTS
    figures: Figures = {}
    for name, count in counts.items():
        folder = photos_of(setting, next(size for size in SIZES if size.name == name), count)
        rates: dict[str, object] = {}
        for cores in sorted({*(each for each in CORES if each < most), most}):
            say(f"  {count} photos of {name} on {cores} cores")
            limit_cores(cores)
            try:
                with setting.folder() as base:
                    library = base / "library"
                    environment = setting.environment(setting.mini, library)
                    rates[str(cores)] = index_in_new_process(folder, library, "mini", environment=environment)
            finally:
                os.sched_setaffinity(0, before)
        figures[name] = rates
    return figures


def simulate(setting: Setting) -> Figures:
    """The pipeline with an encoder that sleeps, beside the limits of its stages."""
    folder = photos_of(setting, SIZES[0], QUICK_SIMULATED if setting.quick else SIMULATED)
    figures: Figures = {}
    for name, multiple in GPU_RATES.items():
        rounds = [_round(setting, folder, multiple) for _ in range(1 if setting.quick else ROUNDS)]
        rates = {key: median(each[key] for each in rounds) for key in rounds[0]}
        slowest = min(rates["decode"], rates["embed"], rates["commit"])
        found: Figures = {f"{key}_images_per_s": round(each, 1) for key, each in rates.items()}
        found["share_of_slowest"] = round(rates["pipeline"] / slowest, 3)
        figures[name] = found
        say(f"  {name}: {json.dumps(found)}")
    return figures


def _round(setting: Setting, folder: Path, multiple: float) -> dict[str, float]:
    """The limit of each stage, and the pipeline in between, so that the machine's mood meets all of them."""
    with setting.folder() as base:
        files, transform = scanned_files(folder), SleepingEncoder(1.0).transform
        before = decode_rate(files, transform, base / "before")
        encoder = SleepingEncoder(before * multiple)
        with Library.open(base / "library", create=True, encoder=encoder) as library:
            found = timed_index(library, folder, started=time.time())
        after = decode_rate(files, transform, base / "after")
        commit = commit_rate(base / "commits", batch=BATCH)
    steady = float(str(found["steady_images_per_s"]))
    return {"decode": (before + after) / 2, "embed": encoder.rate, "commit": commit, "pipeline": steady}


class SleepingEncoder:
    """Takes as long for a batch as a GPU of a rate, which has one batch at a time; embeddings are noise."""

    spec = "sleeping"
    fingerprint = "0" * 16
    dim = 512
    device = "simulated"
    precision = "none"
    parity: Parity | None = None
    logit_scale = 100.0
    images_per_batch = BATCH
    batches_at_once = 2

    def __init__(self, rate: float) -> None:
        """Images per second."""
        self.rate = rate
        self.transform = ImageTransform(ImageSpec((224, 224), "shortest"))
        self._gpu = threading.Lock()

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Sleep; noise that depends on the pixels."""
        with self._gpu:
            time.sleep(len(pixels) / self.rate)
        return l2_normalize(np.random.default_rng(int(pixels[0, 0, 0, 0])).normal(size=(len(pixels), self.dim)))

    def encode_images(self, images: list) -> FloatMatrix:  # type: ignore[type-arg]
        """See `encode_pixels`."""
        return self.encode_pixels(transform_images(self.transform, images))

    def encode_texts(self, texts: list[str]) -> FloatMatrix:
        """Noise."""
        return l2_normalize(np.random.default_rng(len(texts)).normal(size=(len(texts), self.dim)))
