"""Indexing on a CUDA device: the bare limit of every stage, the whole, its start, and a cold text search afterwards.

    python -m tests.benchmarks --only cuda --no-peer

Left out where there is no device; under ten minutes where there is one. Models have random weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from clipsearch.system.optional_packages import has_extra
from indexer.embedding import EmbeddingThreads
from tests.benchmarks.indexing import photos_of
from tests.benchmarks.limits import commit_rate, decode_rate, scanned_files
from tests.benchmarks.models import ARCHITECTURE, random_checkpoint
from tests.benchmarks.one_run import index_in_new_process
from tests.benchmarks.photos import SIZES
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import Figures, LeftOut, clipsearch_command, latency, run, say

MODELS = (ARCHITECTURE, "ViT-L-14")
PHOTOS = 6000
QUICK_PHOTOS = 640
DECODED = 2000
SEARCHES = 5
EMBEDDING_S = 4.0


def measure(setting: Setting) -> Figures:
    """Both architectures."""
    if not has_extra("openclip"):
        raise LeftOut("PyTorch is not installed")
    import torch

    if not torch.cuda.is_available():
        raise LeftOut("no CUDA device")
    figures = {model: measure_model(setting, model, device="cuda") for model in MODELS}
    return {"device": torch.cuda.get_device_name(), **figures}


def measure_model(setting: Setting, model: str, *, device: str) -> Figures:
    """One architecture on a device; `cpu` shows that the script works."""
    from clipsearch.models.torch.encoder import OpenClipEncoder

    folder = photos_of(setting, SIZES[0], QUICK_PHOTOS if setting.quick else PHOTOS)
    spec = f"local-dir:{random_checkpoint(setting.models, model)}"
    say(f"  {model}: loading, and limits")
    started = time.perf_counter()
    encoder = OpenClipEncoder(spec, device=device)
    figures: Figures = {"load_s": round(time.perf_counter() - started, 2)}
    sizes = EmbeddingThreads(encoder).sizes
    limits = {
        "tower": _tower_rate(encoder, sizes.images),
        "embed": _embed_rate(encoder, sizes.images, sizes.at_once),
    }
    with setting.folder() as base:
        limits["decode"] = decode_rate(scanned_files(folder)[:DECODED], encoder.transform, base / "previews")
        limits["commit"] = commit_rate(base / "commits", batch=sizes.images)
        precision = encoder.precision
        del encoder  # the run loads its own
        say(f"  {model}: {limits}; indexing {folder.name}")
        library = base / "library"
        environment = setting.environment(setting.base[1], library)
        found = index_in_new_process(folder, library, spec, environment=environment, device=device)
        slowest = min(limits.values())
        figures |= {"precision": precision, "batch": sizes.images, "limits_images_per_s": limits, **found}
        figures["share_of_slowest"] = round(float(str(found["steady_images_per_s"])) / slowest, 3)
        say(f"  {model}: {json.dumps(figures)}")
        if model == ARCHITECTURE:  # compiled by the suite, as the library's own process does in the background
            figures["cold_search"] = _cold_search(setting, library)
    return figures


def _tower_rate(encoder: object, batch: int) -> float:
    """Images a second of the image tower with pixels that are on the device already."""
    import torch

    tower, spec = encoder.image_tower, encoder.image_spec  # type: ignore[attr-defined]
    device = next(tower.parameters()).device
    pixels = torch.zeros((batch, *spec.size, 3), dtype=torch.uint8, device=device)
    dtype = torch.bfloat16 if device.type == "cuda" else None
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        return _rate(lambda: tower(pixels).float().sum().item(), batch)


def _embed_rate(encoder: object, batch: int, at_once: int) -> float:
    """Images a second from pictures in memory to unit rows, as many batches at once as indexing has."""
    height, width = encoder.image_spec.size  # type: ignore[attr-defined]
    pictures = list(np.random.default_rng(0).integers(0, 256, (batch, 1, height, width, 3), dtype=np.uint8))
    with ThreadPoolExecutor(at_once) as pool:

        def step() -> None:
            list(pool.map(encoder.encode_pictures, [pictures] * 2 * at_once))  # type: ignore[attr-defined]

        return _rate(step, 2 * at_once * batch)


def _rate(step: Callable[[], object], images: int) -> float:
    step()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < EMBEDDING_S:
        step()
        done += images
    return round(done / (time.perf_counter() - started), 1)


def _cold_search(setting: Setting, library: Path) -> Figures:
    """Text searches in new processes, in the library made on the device and in one made on the CPU, in turn."""
    with setting.folder() as base:
        small = photos_of(setting, SIZES[0], QUICK_PHOTOS // 10)
        on_cpu = setting.environment(setting.base[1], base / "library")
        run(clipsearch_command("index", small, "--model", setting.base[1].spec, "--device", "cpu"), environment=on_cpu)
        environments = {"made on the device": setting.environment(setting.base[1], library), "made on the CPU": on_cpu}
        times: dict[str, list[float]] = {name: [] for name in environments}
        for number in range(SEARCHES + 1):
            for name, environment in environments.items():
                query = f"a picture {name}, number {number}"  # its embedding is kept: each is searched for once
                seconds, _ = run(clipsearch_command("search", query), environment=environment)
                times[name] += [seconds] if number else []  # the first reads everything into the file cache
    return {name: latency(seconds) for name, seconds in times.items()}
