"""Where the time of a run goes: every stage is counted, once."""

from __future__ import annotations

from pathlib import Path

from clipsearch.library import Library
from indexer.stopwatch import Stopwatch


def test_a_run_tells_where_its_time_went(photos: Path, library: Library) -> None:
    report = library.index(photos)
    stages = {stage.stage: stage for stage in report.stages}
    decoding = ["read", "hash", "decode", "scale", "preview", "fingerprint"]
    own = ["compare", "wait for decoding", "embed", "commit", "place names", "vector index"]
    assert list(stages) == decoding + own
    assert all(stages[name].processes >= 1 for name in decoding)
    assert all(stages[name].processes == 0 for name in own)
    assert all(stage.seconds > 0 for stage in report.stages)
    assert all(stages[name].seconds <= report.seconds for name in own)  # they overlap
    assert [stage.stage for stage in library.index(photos).stages] == ["compare", "place names", "vector index"]


def test_waiting_is_counted_and_nothing_is_left_out() -> None:
    watch = Stopwatch()
    assert list(watch.waits("wait", iter([1, 0, 2]))) == [1, 0, 2]
    watch.add({"wait": 100.0, "other": 1.0})
    assert watch.seconds["wait"] > 100 and watch.seconds["other"] == 1.0
