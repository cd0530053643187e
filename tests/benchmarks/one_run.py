"""One run of indexing, with the times at which pictures were committed.

    python -m tests.benchmarks.one_run FOLDER LIBRARY MODEL STARTED [DEVICE]

Prints JSON. STARTED is when the process was started, in seconds since the epoch, so that its imports count.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from clipsearch.catalog.reports import IndexProgress
from clipsearch.library import Library
from tests.benchmarks.timing import CHECKOUT, BenchmarkError, Figures, run


def timed_index(library: Library, folder: Path, *, started: float) -> Figures:
    """Index a folder.

    Returns:
        Seconds from `started` to the first committed batch; images/s from there to the end of the last batch, as the
        progress tells them; seconds of the run, and of its stages.
    """
    seen: list[tuple[float, int]] = []

    def note(progress: IndexProgress) -> None:
        if progress.done and (not seen or progress.done > seen[-1][1]):
            seen.append((time.time(), progress.done))

    report = library.index(folder, progress=note)
    if report.failures or len(seen) < 2:
        raise BenchmarkError("the run is too short to be measured, or files failed")
    (first, before), (last, done) = seen[0], seen[-1]
    return {
        "images": report.embedded,
        "first_batch_s": round(first - started, 2),
        "steady_images_per_s": round((done - before) / (last - first), 1),
        "seconds": round(report.seconds, 2),
        "stages": {stage.stage: round(stage.seconds / max(1, stage.processes), 2) for stage in report.stages},
    }


def index_in_new_process(
    folder: Path, library: Path, model: str, *, environment: dict[str, str], device: str = "auto"
) -> Figures:
    """`timed_index` in a new process with a new library."""
    command = [sys.executable, "-m", "tests.benchmarks.one_run", str(folder), str(library), model]
    _, said = run([*command, repr(time.time()), device], environment=environment, cwd=CHECKOUT)
    figures: Figures = json.loads(said)
    return figures


def main() -> None:
    """Index, and print the figures."""
    folder, library, model, started, device = sys.argv[1:]
    with Library.open(library, create=True, model=model, device=device) as opened:
        print(json.dumps(timed_index(opened, Path(folder), started=float(started))))


if __name__ == "__main__":
    main()
