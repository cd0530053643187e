"""How fast a folder in which nothing has changed is compared with the catalog.

The files are tiny and as many as asked for; the catalog is filled with what it would know of them had it indexed
them, each with a content of its own, as nothing of a content is looked at again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from clipsearch.catalog.records import SeenFile
from clipsearch.library import Library
from indexer.plan import IndexOptions, locate, plan_folder
from indexer.scan import scan
from tests.benchmarks.libraries import fill_library
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import BenchmarkError, Figures, growth_exponent, say

IN_A_FOLDER = 500
ROUNDS = 5
SIZES = (10_000, 30_000, 100_000)
QUICK_SIZES = (1_000, 3_000)


class NoEncoder:
    """What is measured never gets to a model; anything it is asked for is a mistake of this benchmark."""

    spec, fingerprint, dim, device, precision = "none", "0" * 16, 4, "cpu", "fp32"
    parity = None

    def __init__(self) -> None:
        from clipsearch.media.transform import ImageSpec, ImageTransform

        self.transform = ImageTransform(ImageSpec(size=(8, 8), resize_mode="squash"))

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        raise BenchmarkError(f"{len(pixels)} files that had not changed were read again")


def measure(setting: Setting) -> Figures:
    """Files a second at every size, and how the time grows."""
    sizes = QUICK_SIZES if setting.quick else SIZES
    rounds = 2 if setting.quick else ROUNDS
    figures = {count: _measure_size(setting, count, rounds) for count in sizes}
    times = [count / figures[count]["whole_run_files_per_s"] for count in sizes]
    return {
        "sizes": {str(count): found for count, found in figures.items()},
        "growth": {"files": list(sizes), "exponent": growth_exponent(sizes, times)},
    }


def _measure_size(setting: Setting, count: int, rounds: int) -> dict[str, float]:
    say(f"  rescanning {count:,} files")
    with setting.folder() as base:
        photos = base / "photos"
        encoder = NoEncoder()
        seen = list(_make_files(photos, count))
        fill_library(base / "library", root=photos, files=seen, count=count, encoder=encoder)  # type: ignore[arg-type]
        with Library.open(base / "library", encoder=encoder) as library:  # type: ignore[arg-type]
            walk = _rate(lambda: sum(1 for _ in scan(photos, on_error=lambda *_: None)), count, rounds)
            compare = _rate(lambda: _planned(library, photos), count, rounds)
            whole = _rate(lambda: library.index(photos).unchanged, count, rounds)
            _make_sidecars(photos, count)
            library.index(photos)
            beside = _rate(lambda: library.index(photos).unchanged, count, rounds)
    return {
        "walk_files_per_s": walk,
        "compare_files_per_s": compare,
        "whole_run_files_per_s": whole,
        "with_sidecars_files_per_s": beside,
    }


def _make_sidecars(photos: Path, count: int) -> None:
    """One for every fifth file, in either form."""
    for number in range(0, count, 5):
        ending = "jpg.xmp" if number % 2 else "xmp"
        (photos / f"{number // IN_A_FOLDER:04}/IMG_{number:07}.{ending}").write_text("<x/>")


def _planned(library: Library, photos: Path) -> int:
    store = library._context.store
    model = store.models.active()
    assert model is not None
    place = locate(store, photos)
    return plan_folder(store, place, model_id=model.id, options=IndexOptions(), scanned=lambda: None).unchanged


def _rate(work: Callable[[], int], count: int, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - started)
        if found != count:
            raise BenchmarkError(f"{found} of {count} files were found unchanged")
    return round(count / median(times))


def _make_files(photos: Path, count: int) -> Iterator[SeenFile]:
    photos.mkdir()
    for number in range(count):
        name = f"{number // IN_A_FOLDER:04}/IMG_{number:07}.jpg"
        path = photos / name
        if number % IN_A_FOLDER == 0:
            path.parent.mkdir()
        path.write_bytes(b"\xff\xd8\xff\xd9")
        status = path.stat()
        yield SeenFile(name, status.st_size, status.st_mtime_ns, False)
