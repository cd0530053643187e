"""What a run of the indexer has done so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clipsearch.catalog.reports import FileFailure, IndexReport, StageTime
from indexer.stopwatch import Stopwatch


@dataclass
class Tally:
    """Counts what the parts of a run do; see `clipsearch.catalog.reports.IndexReport` for what is counted.

    Attributes:
        notify: told of each file that is skipped.
        decoding: time in the processes that decode.
        watch: time in this one.
        processes: how many decoded, as far as is known.
    """

    notify: Callable[[str], None]
    embedded: int = 0
    reused: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    missing: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    offline: list[Path] = field(default_factory=list)
    decoding: Stopwatch = field(default_factory=Stopwatch)
    watch: Stopwatch = field(default_factory=Stopwatch)
    processes: int = 0

    def fail(self, path: Path, reason: str) -> None:
        """A file cannot be read."""
        self.notify(f"skipping {path}: {reason}")
        self.failures.append(FileFailure(path, reason))

    def report(self, *, seconds: float) -> IndexReport:
        """All of it; `seconds` is the wall time."""
        return IndexReport(
            embedded=self.embedded,
            reused=self.reused,
            unchanged=self.unchanged,
            moved=self.moved,
            removed=self.removed,
            missing=self.missing,
            failures=list(self.failures),
            offline=list(self.offline),
            seconds=seconds,
            stages=(
                *(StageTime(stage, taken, self.processes) for stage, taken in self.decoding.seconds.items()),
                *(StageTime(stage, taken, 0) for stage, taken in self.watch.seconds.items()),
            ),
        )
