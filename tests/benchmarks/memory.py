"""The most memory that a program and all its child processes take together.

Every page counts once (the proportional set size that Linux tells): a sum of resident sizes would count what
processes share, such as a mapped index, many times.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.indexing import QUICK_COUNTS, RCLIP, photos_of
from tests.benchmarks.libraries import fill_database, fill_library, made_up_files
from tests.benchmarks.photos import SIZES
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import CHECKOUT, BenchmarkError, Figures, clipsearch_command, offline, say
from tests.benchmarks.warm_queries import query_text

EVERY_S = 0.05
PHOTOS = {"12 MP": 64, "48 MP": 24}
VECTORS = 100_000
QUICK_VECTORS = 2_000


def measure(setting: Setting) -> Figures:
    """Peaks in MiB of indexing large photos, and of a search."""
    return {"indexing_mib": _indexing(setting), "search_mib": _searching(setting)}


def peak_mib(command: Sequence[str], *, environment: Mapping[str, str], cwd: Path = CHECKOUT) -> int:
    """Run a program and watch it and its descendants.

    Raises:
        BenchmarkError: it fails, or the system does not tell what processes take.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise BenchmarkError("memory is measured on Linux only")
    peak = 0
    with subprocess.Popen(
        command, env=environment, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(_pss_kib(pid) for pid in _family(process.pid)))
            time.sleep(EVERY_S)
    if process.returncode != 0:
        raise BenchmarkError(f"the watched program ended with status {process.returncode}")
    return round(peak / 1024)


def _indexing(setting: Setting) -> Figures:
    figures: Figures = {}
    for size in SIZES:
        if size.name not in PHOTOS:
            continue
        photos = photos_of(setting, size, QUICK_COUNTS[size.name] if setting.quick else PHOTOS[size.name])
        peaks: dict[str, int] = {}
        for each in setting.candidates:
            say(f"  memory of indexing photos of {size.name}, {each.name}")
            with setting.folder() as base:
                command = clipsearch_command("index", photos, "--model", each.spec)
                peaks[each.name] = peak_mib(command, environment=setting.environment(each, base / "library"))
        if setting.peer is not None:
            with setting.folder() as data:
                setting.peer.make_data_folder(data)
                environment = offline(RCLIP_DATADIR=data)
                peaks[RCLIP] = peak_mib(setting.peer.index_command(), environment=environment, cwd=photos)
        figures[size.name] = peaks
    return figures


def _searching(setting: Setting) -> Figures:
    count = QUICK_VECTORS if setting.quick else VECTORS
    say(f"  memory of searching {count:,} vectors")
    figures: Figures = {"vectors": count}
    query = query_text(0)
    with setting.folder() as base:
        for each in setting.candidates:
            library = base / each.model
            if not library.exists():  # precisions of one model share it
                encoder = setting.load(each)
                fill_library(library, root=base, files=made_up_files(count), count=count, encoder=encoder)
            command = clipsearch_command("search", query, "--paths")
            figures[each.name] = peak_mib(command, environment=setting.environment(each, library))
        if setting.peer is not None:
            data = base / "rclip"
            setting.peer.make_data_folder(data)
            fill_database(setting.peer, data, root=base, files=made_up_files(count), count=count)
            environment = offline(RCLIP_DATADIR=data)
            figures[RCLIP] = peak_mib(setting.peer.search_command(query), environment=environment, cwd=base)
    return figures


def _family(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it has ended
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    family, pending = [], [root]
    while pending:
        process = pending.pop()
        family.append(process)
        pending.extend(children.get(process, ()))
    return family


def _pss_kib(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
