"""Ending a run from inside its progress callback: promptly, and with nothing left in disorder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clipsearch.catalog.reports import IndexProgress
from clipsearch.library import Library
from indexer.embedding import SMALL_BATCH
from tests.conftest import ColourEncoder, Notes, save_photo


class Enough(Exception):
    """What the callback raises."""


def once(condition: Callable[[IndexProgress], bool]) -> Callable[[IndexProgress], None]:
    def stop(progress: IndexProgress) -> None:
        if condition(progress):
            raise Enough

    return stop


WHEN = {
    "while the folders are walked": lambda progress: progress.total is None,
    "in the middle": lambda progress: progress.done >= 40,
    "at the end": lambda progress: progress.done == 70,
}


@pytest.fixture(autouse=True)
def progress_is_always_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.progress_meter._EVERY_S", 0.0)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(70):
        save_photo(tmp_path / "many" / f"{number}.png", (number, 2 * number, 255 - number), size=(8, 8))
    return tmp_path / "many"


@pytest.mark.parametrize("when", WHEN)
def test_indexing_that_is_stopped_leaves_a_sound_library_and_goes_on(
    library: Library, many: Path, notes: Notes, when: str
) -> None:
    with pytest.raises(Enough):
        library.index(many, progress=once(WHEN[when]))
    files = library.status().files
    assert files % SMALL_BATCH == 0 or files == 70  # whole batches
    assert library.maintenance.check(full=True).is_sound
    assert library.status().interrupted is not None
    if files:
        assert len(library.search("red", k=1000)) == files
    report = library.index(many)  # so the lock is free, too
    assert (report.embedded, report.unchanged) == (70 - files, files)
    assert library.status().interrupted is None
    assert any("was interrupted" in note for note in notes) == (files < 70)


def test_indexing_is_stopped_while_it_waits_for_decoding(library: Library, many: Path, encoder: ColourEncoder) -> None:
    told: list[IndexProgress] = []

    def stop(progress: IndexProgress) -> None:
        told.append(progress)
        if len([item for item in told if item.total == 70]) == 5:
            raise Enough

    with pytest.raises(Enough):
        library.index(many, progress=stop)
    assert (told[-1].done, encoder.embedded) == (0, 0)


@pytest.mark.long
def test_a_migration_that_is_stopped_leaves_the_old_model_and_goes_on(library: Library, many: Path) -> None:
    library.index(many)
    with pytest.raises(Enough):
        library.migrate("hf-hub:tests/other-colours", progress=once(lambda progress: progress.done >= 40))
    assert library.status().model == "hf-hub:tests/colours"
    assert library.maintenance.check(full=True).is_sound
    assert len(library.search("red", k=1000)) == 70
    (embedded,) = (space.embedded for space in library.status().spaces if not space.active)
    assert embedded >= 40 and (embedded % SMALL_BATCH == 0 or embedded == 70)  # what was being committed is, too
    report = library.migrate("hf-hub:tests/other-colours")
    assert (report.embedded, report.switched) == (70 - embedded, True)
