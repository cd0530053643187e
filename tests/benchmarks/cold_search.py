"""How long a newcomer waits: a cold `clipsearch search` and `similar` over a library of 1,000 photos.

Run with ``make bench`` or ``python tests/benchmarks/cold_search.py [--photos N] [--runs N] [--json]``. Each run is a
new process; the first one, which warms the system's file cache, is shown apart and left out of the median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from clipsearch.encoders.compiled import available_cores
from clipsearch.library import Library


def make_photos(folder: Path, count: int) -> None:
    """Write JPEGs of 640×480 whose smooth random content compresses like photographs do."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, size=(12, 16, 3), dtype=np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number:05}.jpg", quality=85)


def time_command(*arguments: str, runs: int) -> dict[str, float]:
    """Wall times of a command in seconds: the first run, then median and slowest of `runs` more."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "clipsearch", *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return {"first_s": times[0], "median_s": statistics.median(times[1:]), "slowest_s": max(times[1:])}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, directory = Path(temporary) / "photos", Path(temporary) / "library"
        make_photos(folder, options.photos)
        os.environ["CLIPSEARCH_LIBRARY"] = str(directory)
        with Library.open(directory, model="mini", create=True) as library:
            report = library.index(folder)
        figures = {
            "cores": available_cores(),
            "photos": options.photos,
            "index_images_per_s": report.embedded / report.seconds,
            "help": time_command("--help", runs=options.runs),
            "search": time_command("search", "two dogs playing in the snow", "--paths", runs=options.runs),
            "similar (indexed photo)": time_command("similar", str(folder / "00001.jpg"), "--paths", runs=options.runs),
        }
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"model mini, {options.photos} photos, {figures['cores']} cores")
    print(f"indexing: {figures['index_images_per_s']:.0f} images/s (640×480 JPEG)")
    print(f"{'cold command':<26}{'median':>9}{'slowest':>9}{'first':>9}")
    for name in ("help", "search", "similar (indexed photo)"):
        row = figures[name]
        print(f"{name:<26}{row['median_s']:>8.3f}s{row['slowest_s']:>8.3f}s{row['first_s']:>8.3f}s")


if __name__ == "__main__":
    main()
