"""Images a second from a folder of photos to a searchable library, beside the peer on the same files.

Every figure is a new process that indexes all photos into a new library, its start and the loading of the model
included. The photos are in the system's file cache.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.benchmarks.photos import SIZES, PhotoSize, bytes_per_pixel, photo_folder
from tests.benchmarks.rclip_peer import Rclip, indexed_photos
from tests.benchmarks.setting import Candidate, Setting
from tests.benchmarks.timing import (
    BenchmarkError,
    Figures,
    alternate,
    clipsearch_command,
    growth_exponent,
    rate,
    run,
    say,
)

COUNTS = {"0.3 MP": 400, "2 MP": 120, "12 MP": 288, "48 MP": 16}
QUICK_COUNTS = {"0.3 MP": 24, "2 MP": 16, "12 MP": 8, "48 MP": 4}
ROUNDS = 2
GROWTH_COUNTS = (100, 200, 400)
QUICK_GROWTH_COUNTS = (12, 24)
RCLIP = "rclip"


def measure(setting: Setting) -> Figures:
    """Every size of photo, model and precision; and how the time grows with the number of photos."""
    counts = QUICK_COUNTS if setting.quick else COUNTS
    return {
        "sizes": {size.name: _measure_size(setting, size, counts[size.name]) for size in SIZES},
        "growth": _growth(setting),
    }


def photos_of(setting: Setting, size: PhotoSize, count: int) -> Path:
    """A folder of photos, all of them in the system's file cache."""
    say(f"  photos of {size.name}")
    folder = photo_folder(setting.photos, size, count)
    for path in folder.iterdir():
        path.read_bytes()
    return folder


def _measure_size(setting: Setting, size: PhotoSize, count: int) -> Figures:
    folder = photos_of(setting, size, count)
    say(f"  indexing {count} photos of {size.name}")
    inside: dict[str, list[float]] = {}
    candidates = {each.name: _indexer(setting, each, folder, inside) for each in setting.candidates}
    if setting.peer is not None:
        candidates[RCLIP] = _peer_indexer(setting, setting.peer, folder)
    times, failed = alternate(candidates, rounds=1 if setting.quick else ROUNDS)
    rates = {name: rate(count, seconds) for name, seconds in times.items()}
    say("  " + ", ".join(f"{name} {each:.1f}/s" for name, each in rates.items()))
    figures: Figures = {
        "photos": count,
        "bytes_per_pixel": bytes_per_pixel(folder, size),
        "images_per_s": rates,
        "run_images_per_s": {name: rate(count, inside[name]) for name in times if name in inside},
        "seconds": {name: [round(each, 3) for each in seconds] for name, seconds in times.items()},
        "failed_candidates": failed,
    }
    if RCLIP in rates:
        figures["ratio_to_rclip"] = {
            name: round(each / rates[RCLIP], 2) for name, each in rates.items() if name != RCLIP
        }
    return figures


def _indexer(
    setting: Setting, candidate: Candidate, folder: Path, inside: dict[str, list[float]]
) -> Callable[[int], float]:
    """What indexes a folder with a model of ours into a new library, and returns the wall time in seconds.

    The time that the program itself reports, which leaves out its start, goes into `inside`.
    """
    count = len(list(folder.iterdir()))

    def index(_: int) -> float:
        with setting.folder() as base:
            library = base / "library"
            command = clipsearch_command("index", folder, "--model", candidate.spec, "--json")
            seconds, said = run(command, environment=setting.environment(candidate, library))
            report = json.loads(said)
            if report["embedded"] != count:
                raise BenchmarkError(f"{candidate.name} embedded {report['embedded']} of {count} photos")
            inside.setdefault(candidate.name, []).append(report["seconds"])
            return seconds

    return index


def _peer_indexer(setting: Setting, peer: Rclip, folder: Path) -> Callable[[int], float]:
    count = len(list(folder.iterdir()))

    def index(_: int) -> float:
        with setting.folder() as data:
            peer.make_data_folder(data)
            seconds = peer.index(folder, data=data)
            if indexed_photos(data) != count:
                raise BenchmarkError(f"rclip indexed {indexed_photos(data)} of {count} photos")
            return seconds

    return index


def _growth(setting: Setting) -> Figures:
    """The time that the program reports for 0.3 MP photos with the bundled model, by their number."""
    counts = QUICK_GROWTH_COUNTS if setting.quick else GROWTH_COUNTS
    most = photos_of(setting, SIZES[0], counts[-1])
    times = []
    for count in counts:
        say(f"  indexing {count} photos")
        with setting.folder() as base:
            folder = base / "photos"
            folder.mkdir()
            for path in sorted(most.iterdir())[:count]:
                shutil.copy2(path, folder / path.name)
            inside: dict[str, list[float]] = {}
            index = _indexer(setting, setting.mini, folder, inside)
            for number in range(1 if setting.quick else ROUNDS):
                index(number)
            times.append(median(inside[setting.mini.name]))
    return {
        "photos": list(counts),
        "seconds": [round(each, 3) for each in times],
        "exponent": growth_exponent(counts, times),
    }
