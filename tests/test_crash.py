"""Killing an indexing process at any moment costs at most the batch in flight."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clipsearch.library import Library
from clipsearch.store.image_store import ImageStore
from tests.conftest import ColourEncoder, save_photo

INDEX = """
import sys, time
from clipsearch.library import Library
from tests.conftest import ColourEncoder

class SlowEncoder(ColourEncoder):
    def encode_pixels(self, pixels):
        time.sleep(0.03)
        with open(sys.argv[3], "a") as log:
            log.write(f"{len(pixels)}\\n")
        return super().encode_pixels(pixels)

print("started", flush=True)
Library.open(sys.argv[1], create=True, encoder=SlowEncoder()).index(sys.argv[2])
"""

PHOTOS = 600
KILLS = 12


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(PHOTOS):
        save_photo(folder / f"{number % 7}" / f"{number:03}.png", (number % 256, number // 3, 77), size=(12, 12))
    return folder


def contents(library: Path) -> dict[str, bytes]:
    """Every file's name and the bytes of its embedding."""
    store = ImageStore(library)
    model = store.active_model()
    assert model is not None
    _, ids = store.live_embedding_ids(model.id)
    vectors = {}
    for block, rows in store.embeddings(ids, dim=model.dim):
        vectors |= dict(zip(block.tolist(), rows, strict=True))
    files = store.files_of(ids.tolist())
    store.close()
    return {str(file.path): vectors[row_id].tobytes() for row_id, group in files.items() for file in group}


def test_a_killed_run_is_resumed_to_the_same_end(many_photos: Path, tmp_path: Path) -> None:
    disturbed, log = tmp_path / "disturbed", tmp_path / "log"
    random = np.random.default_rng(1)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", INDEX, str(disturbed), str(many_photos), str(log)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.uniform(0.0, 0.5))
        process.kill()
        killed += process.wait() != 0
        process.stdout.close()
        if (disturbed / "catalog.sqlite3").exists():
            with Library.open(disturbed, create=True, encoder=ColourEncoder()) as library:
                assert library.status().files % 32 in (0, PHOTOS % 32)  # whole batches only
    assert killed >= KILLS // 2

    with Library.open(disturbed, create=True, encoder=ColourEncoder()) as library:
        library.index(many_photos)
        assert len(library.search("red", k=PHOTOS + 1)) == PHOTOS
    with Library.open(tmp_path / "quiet", create=True, encoder=ColourEncoder()) as library:
        library.index(many_photos)
    assert contents(disturbed) == contents(tmp_path / "quiet")
    embedded = sum(int(line) for line in log.read_text().split())
    assert embedded <= PHOTOS + 32 * killed  # at most the batch in flight was embedded again
