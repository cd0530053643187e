"""Restart of the database server during searches and indexing, and restoration from a backup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.errors import LibraryError
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix
from indexer import leasing as sharing
from indexer.embedding import SMALL_BATCH
from tests.conftest import ColourEncoder, save_photo
from tests.postgres.server import PostgresServer

PHOTOS = 4 * SMALL_BATCH


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A separate server."""
    with PostgresServer.start() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(PHOTOS):
        save_photo(tmp_path / "photos" / f"{number}.png", (number, 1, 2))
    return tmp_path / "photos"


class Interrupted(ColourEncoder):
    """Stops the server in the third batch, which is begun once the first one is committed."""

    def __init__(self, server: PostgresServer) -> None:
        super().__init__()
        self.server = server
        self.went_down = False

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        if self.embedded >= 2 * SMALL_BATCH and not self.went_down:
            self.went_down = True
            self.server.go_down()
        return super().encode_pixels(pixels)


@pytest.mark.long
def test_searches_work_after_a_restart(server: PostgresServer, folder: Path) -> None:
    with Library.open(server.catalog(), create=True, encoder=ColourEncoder()) as library:
        library.index(folder)
        before = [item.path.name for item in library.search("red", k=5)]
        server.go_down()
        with pytest.raises(LibraryError, match="postgresql:///"):
            library.search("red ext:png", k=5)
        server.come_back()
        assert [item.path.name for item in library.search("red ext:png", k=5)] == before


@pytest.mark.long
def test_an_interrupted_run_is_one_line_and_the_next_continues(
    server: PostgresServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LEASE_S", 3.0)  # the first run could not release its leases
    place = server.catalog()
    encoder = Interrupted(server)
    with (
        Library.open(place, create=True, encoder=encoder) as library,
        pytest.raises(LibraryError, match="postgresql:///") as error,
    ):
        library.index(folder)
    assert encoder.went_down and "\n" not in str(error.value)
    server.come_back()
    with Library.open(place, encoder=ColourEncoder()) as library:
        report = library.index(folder)
        assert 0 < report.embedded < PHOTOS
        assert report.embedded + report.unchanged == PHOTOS
        assert library.counts().images == library.counts().files == PHOTOS
        assert len(library.search("red", k=PHOTOS)) == PHOTOS


@pytest.mark.long
def test_embeddings_of_a_backup_are_reused(server: PostgresServer, folder: Path) -> None:
    place = server.catalog()
    name = urlsplit(place.text).path.strip("/")
    with Library.open(place, encoder=ColourEncoder()) as library:
        library.index(folder)
        cache = library.path
        saved = server.program("pg_dump", "--format=custom", name)
        save_photo(folder / "later.png", (3, 255, 3))
        library.index(folder)
    server.execute(f"DROP DATABASE {name}")
    server.execute(f"CREATE DATABASE {name}")
    server.program("pg_restore", f"--dbname={name}", stdin=saved)
    shutil.rmtree(cache)  # its revision is newer than the backup's
    with Library.open(place, encoder=ColourEncoder()) as library:
        assert library.index(folder).embedded == 1
        assert len(library.search("red", k=2 * PHOTOS)) == PHOTOS + 1
