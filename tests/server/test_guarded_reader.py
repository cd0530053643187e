"""What clients send is decoded as when folders are indexed, each in a process that can be ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipsearch.errors import ClipSearchError, ImageReadError, ModelError
from clipsearch.media.decoding import content_hash, load_image
from indexer.uploads import GuardedReader
from indexer.workers import DecodingPool
from tests.conftest import ColourEncoder, save_photo

TRANSFORM = ColourEncoder().transform


@pytest.fixture
def reader() -> Iterator[GuardedReader]:
    reader = GuardedReader(lambda: TRANSFORM, time_limit_s=20)
    yield reader
    reader.close()


def test_pictures_come_as_the_encoder_takes_them(reader: GuardedReader, tmp_path: Path) -> None:
    paths = [save_photo(tmp_path / f"{colour}.png", colour, size=(90, 60)) for colour in ("red", "green", "blue")]
    with ThreadPoolExecutor(3) as threads:
        contents = [path.read_bytes() for path in paths]
        found = list(threads.map(lambda content: reader.read(content, name="", is_known=lambda _: False), contents))
    for path, upload in zip(paths, found, strict=True):
        assert upload.content_hash == content_hash(path.read_bytes()) and upload.image is not None
        expected = TRANSFORM(load_image(path).image)
        assert np.array_equal(np.asarray(upload.image), expected)
        assert np.array_equal(TRANSFORM(upload.image), expected), "to be brought to size again changes nothing"


def test_what_is_known_is_not_decoded(reader: GuardedReader, tmp_path: Path) -> None:
    content = save_photo(tmp_path / "red.png", "red").read_bytes()
    assert reader.read(content, name="x.png", is_known=lambda digest: True).image is None


def test_failures_say_why_and_name_no_file(reader: GuardedReader) -> None:
    for content, name in ((b"", "x.png"), (b"junk", "../../x.png"), (b"junk", "x.cr2"), (b"\xff\xd8\xff", "\0.jpg")):
        with pytest.raises(ImageReadError) as failed:
            reader.read(content, name=name, is_known=lambda _: False)
        assert failed.value.path is None and "clipsearch-" not in str(failed.value)


def test_before_there_is_a_model_nothing_is_decoded() -> None:
    reader = GuardedReader(lambda: None, time_limit_s=20)
    with pytest.raises(ModelError, match="not loaded yet"):
        reader.read(b"junk", name="", is_known=lambda _: False)
    reader.close()


def test_an_end_does_not_wait_for_what_is_at_work(
    reader: GuardedReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[DecodingPool] = []

    class KnownPool(DecodingPool):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            pools.append(self)

    monkeypatch.setattr("indexer.uploads.DecodingPool", KnownPool)
    content = save_photo(tmp_path / "red.png", "red").read_bytes()
    reader.read(content, name="", is_known=lambda _: True)
    asked, gate = threading.Event(), threading.Event()

    def is_known(_: str) -> bool:
        asked.set()
        return gate.wait(30)

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(reader.read, content, name="", is_known=is_known)
        assert asked.wait(30)
        (pool,) = pools
        closing = threading.Thread(target=reader.close)
        closing.start()
        while pool.process_ids:  # the gate is opened once the process is gone, so that it cannot end what it is at
            time.sleep(0.001)
        gate.set()
        with pytest.raises(ClipSearchError):
            reading.result()
        closing.join()
    with pytest.raises(ClipSearchError, match="about to end"):
        reader.read(content, name="", is_known=lambda _: False)
