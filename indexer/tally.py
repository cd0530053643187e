"""What a run of the indexer has done so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from clipsearch.catalog.reports import FileFailure, IndexReport, StageTime
from clipsearch.text import Notify
from indexer.stopwatch import Stopwatch


@dataclass
class Tally:
    """Counts what the parts of a run do; see `clipsearch.catalog.reports.IndexReport` for what is counted.

    Attributes:
        notify: callback for one-line user notices: skipped files.
        decoding: time in the processes that decode.
        watch: time in this one.
        processes: how many decoded, as far as is known.
    """

    notify: Notify
    embedded: int = 0
    reused: int = 0
    unchanged: int = 0
    sidecars: int = 0
    moved: int = 0
    removed: int = 0
    missing: int = 0
    excluded: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    failures: list[FileFailure] = field(default_factory=list)
    offline: list[Path] = field(default_factory=list)
    decoding: Stopwatch = field(default_factory=Stopwatch)
    watch: Stopwatch = field(default_factory=Stopwatch)
    processes: int = 0
    _embedded_until: float = 0.0

    def fail(self, path: Path, reason: str) -> None:
        """A file cannot be read."""
        self.notify(f"skipping {path}: {reason}")
        self.failures.append(FileFailure(path, reason))

    def add_embedding(self, started: float, ended: float) -> None:
        """A batch was embedded from then to then, by `time.perf_counter`; what overlaps with others counts once."""
        self.watch.add({"embed": max(0.0, ended - max(started, self._embedded_until))})
        self._embedded_until = max(ended, self._embedded_until)

    def report(self, *, seconds: float) -> IndexReport:
        """All of it; `seconds` is the wall time."""
        return IndexReport(
            embedded=self.embedded,
            reused=self.reused,
            unchanged=self.unchanged,
            sidecars=self.sidecars,
            moved=self.moved,
            removed=self.removed,
            missing=self.missing,
            excluded=self.excluded,
            unread=dict(self.unread.most_common()),
            failures=list(self.failures),
            offline=list(self.offline),
            seconds=seconds,
            stages=(
                *(StageTime(stage, taken, self.processes) for stage, taken in self.decoding.seconds.items()),
                *(StageTime(stage, taken, 0) for stage, taken in self.watch.seconds.items()),
            ),
        )
