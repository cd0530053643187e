"""Changing a library's model while it is in use."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.reports import IndexProgress
from clipsearch.errors import LibraryError, LibraryLockedError
from clipsearch.library import Library
from clipsearch.media.thumbnails import thumbnail_path
from clipsearch.system.file_lock import writer_lock
from clipsearch.vectors.faiss.engine import index_path
from tests.conftest import ROOT, ColourEncoder, Encoders, Notes, OtherEncoder, mostly_long, nearly_full_disk, save_photo
from tests.videos import write_video


@pytest.fixture
def other() -> OtherEncoder:
    return OtherEncoder()


@pytest.fixture
def library(
    photos: Path, encoder: ColourEncoder, other: OtherEncoder, encoders: Encoders, open_library: Callable[..., Library]
) -> Library:
    """Six photos indexed with one model, in a library that can load the other one too."""
    encoders |= {"hf-hub:tests/colours": lambda: encoder, "hf-hub:tests/other-colours": lambda: other}
    opened = open_library()
    opened.index(photos)
    return opened


def spaces(library: Library) -> dict[str, tuple[int, int, int, bool]]:
    return {
        space.model.spec: (space.embedded, space.from_preview, space.missing, space.active)
        for space in library.status().spaces
    }


def test_the_new_model_answers_once_all_is_embedded(library: Library, other: OtherEncoder, photos: Path) -> None:
    told: list[IndexProgress] = []
    report = library.migrate("hf-hub:tests/other-colours", progress=told.append)
    assert (report.embedded, report.from_preview, report.missing, report.switched) == (6, 0, 0, True)
    assert told[-1].done == told[-1].total == 6
    assert spaces(library) == {"hf-hub:tests/colours": (6, 0, 0, False), "hf-hub:tests/other-colours": (6, 0, 0, True)}
    assert library.status().dim == 24
    assert library.search("red", k=1)[0].path.name == "red.png"
    assert library.index(photos).unchanged == 6
    assert other.embedded == 6


def test_searches_go_on_with_the_old_model_meanwhile(
    library: Library, encoders: Encoders, open_library: Callable[..., Library]
) -> None:
    names: list[str] = []
    reader = open_library(encoder=ColourEncoder(), load_encoder=lambda _: OtherEncoder())

    class Watching(OtherEncoder):
        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            names.append(reader.search("red", k=1)[0].path.name)
            return super().encode_pixels(pixels)

    encoders["hf-hub:tests/other-colours"] = Watching
    library.migrate("hf-hub:tests/other-colours")
    assert set(names) == {"red.png"}
    assert reader.search("red", k=1)[0].path.name == "red.png"  # a reader that stayed open uses the new one


def test_going_back_and_dropping_the_old(library: Library, encoder: ColourEncoder, other: OtherEncoder) -> None:
    library.migrate("hf-hub:tests/other-colours")
    model = library.active_model()
    assert model is not None
    report = library.migrate("hf-hub:tests/colours")
    assert (report.embedded, report.switched, encoder.embedded) == (0, True, 6)
    cache = index_path(library.path, model)
    assert cache.exists()
    library.migrate("hf-hub:tests/colours", drop_old=True)
    assert spaces(library) == {"hf-hub:tests/colours": (6, 0, 0, True)}
    assert not cache.exists()
    assert library.search("red", k=1)[0].path.name == "red.png"


@pytest.mark.long
def test_an_interrupted_migration_goes_on(
    tmp_path: Path, encoders: Encoders, open_library: Callable[..., Library], notes: Notes
) -> None:
    for number in range(100):
        save_photo(tmp_path / "photos" / f"{number}.png", (number, 2 * number, 255 - number))

    class Breaking(OtherEncoder):
        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            if self.embedded >= 64:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    encoders["hf-hub:tests/other-colours"] = Breaking
    with open_library() as library:
        library.index(tmp_path / "photos")
        with pytest.raises(KeyboardInterrupt):
            library.migrate("hf-hub:tests/other-colours")
        assert spaces(library)["hf-hub:tests/other-colours"] == (64, 0, 36, False)
    again = OtherEncoder()
    encoders["hf-hub:tests/other-colours"] = lambda: again
    with open_library() as library:
        assert library.migrate("hf-hub:tests/other-colours").switched
        assert again.embedded == 36
        assert any("was interrupted; going on with the 36 pictures" in note for note in notes)


@pytest.mark.long
def test_pictures_on_a_drive_that_is_not_there_are_embedded_from_previews_until_it_is(
    library: Library, photos: Path, other: OtherEncoder, notes: Notes
) -> None:
    photos.rename(photos.parent / "away")
    report = library.migrate("hf-hub:tests/other-colours")
    assert (report.embedded, report.from_preview, report.missing, report.switched) == (0, 6, 0, True)
    assert any("6 pictures were embedded from their previews" in note for note in notes)
    assert library.search("red", k=1)[0].path.name == "red.png"
    before = other.embedded
    (photos.parent / "away").rename(photos)
    report_ = library.index(photos)
    assert (report_.embedded, other.embedded - before) == (6, 6)
    assert spaces(library)["hf-hub:tests/other-colours"] == (6, 0, 0, True)
    assert len(library.search("red", k=100)) == 6
    assert library.index(photos).unchanged == 6


@pytest.mark.long
def test_what_cannot_be_embedded_holds_the_switch_up_unless_told(library: Library, photos: Path) -> None:
    digest = library.search("red", k=1)[0].content_hash
    photos.rename(photos.parent / "away")
    thumbnail_path(library.path, digest).unlink()
    report = library.migrate("hf-hub:tests/other-colours")
    assert (report.missing, report.switched) == (1, False)
    assert spaces(library)["hf-hub:tests/colours"][3] is True
    report = library.migrate("hf-hub:tests/other-colours", partial=True)
    assert (report.missing, report.switched) == (1, True)
    assert "red.png" not in {result.path.name for result in library.search("red", k=100)}
    (photos.parent / "away").rename(photos)
    library.index(photos)
    assert library.search("red", k=1)[0].path.name == "red.png"


@pytest.mark.long
def test_a_file_that_changed_since_it_was_indexed_is_not_taken_for_its_old_content(
    library: Library, photos: Path
) -> None:
    digest = library.search("red", k=1)[0].content_hash
    save_photo(photos / "red.png", "blue", size=(30, 30))
    thumbnail_path(library.path, digest).unlink()
    assert library.migrate("hf-hub:tests/other-colours").missing == 1
    library.index(photos)
    assert library.migrate("hf-hub:tests/other-colours").switched
    assert library.search("blue", k=2)[1].path.name in ("red.png", "blue.png")


@pytest.mark.long
def test_a_second_writer_and_a_full_disk(library: Library, photos: Path, open_library: Callable[..., Library]) -> None:
    with writer_lock(library.path), pytest.raises(LibraryLockedError):
        library.migrate("hf-hub:tests/other-colours")
    for number in range(200):
        save_photo(photos / f"{number}.png", (number, 1, 2))
    library.index(photos)
    with nearly_full_disk(library.path, pages=1), pytest.raises(LibraryError, match="is full"):
        open_library().migrate("hf-hub:tests/other-colours")
    assert len(library.search("red", k=1000)) == 206
    assert library.migrate("hf-hub:tests/other-colours").switched


def test_the_vectors_after_a_migration_are_those_of_a_fresh_library(
    library: Library, photos: Path, tmp_path: Path, open_library: Callable[..., Library]
) -> None:
    library.migrate("hf-hub:tests/other-colours", drop_old=True)
    fresh = open_library(tmp_path / "fresh", encoder=OtherEncoder())
    fresh.index(photos)
    for query in ("red", "blue", "white"):
        migrated, direct = library.search(query, k=10), fresh.search(query, k=10)
        assert [result.path for result in migrated] == [result.path for result in direct]
        np.testing.assert_array_equal([r.score for r in migrated], [r.score for r in direct])


KILLED = """
# Migrates, and kills itself at a named point.
import sys

import clipsearch.vectors.faiss.engine as cache
import indexer.migrate as migrate
from clipsearch.library import Library
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.concepts import ConceptRepository
from clipsearch.catalog.models import ModelRepository
from tests.conftest import OtherEncoder
from tests.killing import kill_at

library, owner, name, nth, after = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] == "after"
owners = (Catalog, ModelRepository, ConceptRepository)
owner = {"cache": cache, **{item.__name__: item for item in owners}}[owner]
kill_at(owner, name, nth, after=after)
with Library.open(library, encoder=OtherEncoder()) as opened:
    opened.migrate("hf-hub:tests/other-colours", drop_old=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("when", mostly_long(["before", "after"]))
@pytest.mark.parametrize(
    ("owner", "name", "nth"),
    [
        ("Catalog", "commit", 1),
        pytest.param("cache", "write_exact", 1, marks=pytest.mark.long),
        pytest.param("ConceptRepository", "put_fit", 1, marks=pytest.mark.long),
        pytest.param("ModelRepository", "activate_known", 1, marks=pytest.mark.long),
        pytest.param("ModelRepository", "drop_others", 1, marks=pytest.mark.long),
        pytest.param("cache", "write_exact", 2, marks=pytest.mark.long),
    ],
)
def test_a_kill_at_each_point_of_a_migration_leaves_one_model_that_answers(
    library: Library, photos: Path, owner: str, name: str, nth: int, when: str
) -> None:
    library.concepts.add("warm", [photos / "red.png"], text="red")
    library.concepts.add("cold", [photos / "blue.png"])
    command = [sys.executable, "-c", KILLED, str(library.path), owner, name, str(nth), when]
    checkout = ROOT
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout)
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr
    assert library.search("red", k=1)[0].path.name == "red.png"
    assert library.search("@warm", k=1)[0].path.name == "red.png"
    assert sum(space.active for space in library.status().spaces) == 1
    library.migrate("hf-hub:tests/other-colours", drop_old=True)
    assert spaces(library) == {"hf-hub:tests/other-colours": (6, 0, 0, True)}
    assert [(shown.name, shown.model) for shown in library.concepts.all()] == [
        ("cold", "hf-hub:tests/other-colours"),
        ("warm", "hf-hub:tests/other-colours"),
    ]
    assert library.search("red", k=1)[0].path.name == "red.png"
    assert library.search("@cold", k=1)[0].path.name == "blue.png"
    assert library.maintenance.check().is_sound


@pytest.mark.long
def test_the_frames_of_videos_are_embedded_again(library: Library, other: OtherEncoder, photos: Path) -> None:
    write_video(photos / "lights.mp4", [("red", 3), ("lime", 3), ("blue", 3)])
    library.index(photos)
    assert library.migrate("hf-hub:tests/other-colours").embedded == 7
    assert other.embedded == 9
    (result,) = library.search("blue kind:video")
    assert (result.segment.start_s, result.segment.end_s) == (6.0, 9.0)
