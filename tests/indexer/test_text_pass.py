"""The text of pictures is read in worker processes, once per content, batch by batch, and searches find it."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from clipsearch.catalog.reports import IndexProgress
from clipsearch.cli import cli
from clipsearch.errors import ConfigError
from clipsearch.library import Library
from clipsearch.media.box import Box
from clipsearch.retrieval.results import Evidence
from indexer.text_pass import shot_positions
from tests.conftest import ColourEncoder, LoadWith, Notes
from tests.retrieval.test_hybrid import names


def save_receipt(path: Path, *lines: str, size: tuple[int, int] = (500, 300)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((30, 30 + 70 * number), line, "black", font=ImageFont.load_default(36))
    image.save(path)
    return path


@pytest.fixture
def with_receipts(library: Library, photos: Path) -> Library:
    pytest.importorskip("rapidocr")
    save_receipt(photos / "a.png", "IKEA Heraklion", "Total 149.90")
    save_receipt(photos / "deeper" / "b.jpg", "Parking ticket")
    library.index(photos)
    return library


def test_text_is_read_once_and_found_with_its_box(with_receipts: Library, photos: Path, notes: Notes) -> None:
    report = with_receipts.texts.read()
    assert (report.read, report.with_text, report.failed, report.left) == (8, 2, 0, 0)
    assert with_receipts.texts.counts() == (8, 8, 2)
    best = with_receipts.search("ikea", k=3)[0]
    assert best.path.name == "a.png" and best.matched[0].kind == "text"
    assert isinstance(best.matched[0].box, Box) and best.matched[0].box.y < 100 and best.matched[0].box.width > 150
    assert names(with_receipts.search("text:parking", k=3)) == ["b.jpg"]
    (photos / "a.png").rename(photos / "moved.png")
    (photos / "copy.jpg").write_bytes((photos / "deeper" / "b.jpg").read_bytes())
    with_receipts.index(photos)
    assert with_receipts.texts.read().read == 0
    assert names(with_receipts.search("ikea", k=1)) == ["moved.png"]
    assert set(names(with_receipts.search("text:parking", k=3))) == {"b.jpg", "copy.jpg"}
    assert notes == []


@pytest.mark.long
def test_an_interrupted_run_goes_on(with_receipts: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.text_pass.BATCH_SIZE", 2)
    monkeypatch.setattr("indexer.progress_meter._EVERY_S", 0.0)

    def stop(progress: IndexProgress) -> None:
        if progress.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_receipts.texts.read(progress=stop)
    read = with_receipts.texts.counts().read
    assert 4 <= read < 8
    assert with_receipts.texts.read().read == 8 - read


@pytest.mark.long
def test_limits_and_likely_pictures_first(with_receipts: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = with_receipts.search("path:a.png", k=1)[0].content_hash
    monkeypatch.setattr("clipsearch.labeling.text_likelihood.probably_with_text", lambda *_: {receipt})
    report = with_receipts.texts.read(limit=1)
    assert (report.read, report.with_text, report.left) == (1, 1, 7)


@pytest.mark.long
def test_files_that_changed_or_cannot_be_read(with_receipts: Library, photos: Path, notes: Notes) -> None:
    (photos / "a.png").write_bytes(b"no picture any more")
    save_receipt(photos / "deeper" / "b.jpg", "Another text")
    (photos / "red.png").unlink()
    report = with_receipts.texts.read()
    assert (report.read, report.with_text, report.failed) == (5, 0, 2)
    assert any("a.png" in line for line in notes)
    with_receipts.index(photos)
    assert with_receipts.texts.read().with_text == 1
    assert names(with_receipts.search("another", k=1)) == ["b.jpg"]


def test_offline_roots_are_left_for_later(with_receipts: Library, photos: Path, notes: Notes) -> None:
    photos.rename(photos.with_name("unplugged"))
    report = with_receipts.texts.read()
    assert (report.read, report.left) == (0, 8) and "8 pictures of offline roots" in notes[0]


def save_captioned_video(path: Path, *captions: str) -> None:
    """Write two seconds of each caption, each on a ground of its own."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number, caption in enumerate(captions):
            image = Image.new("RGB", (640, 360), ("white", "#ffd0d0", "#d0ffd0")[number])
            ImageDraw.Draw(image).text((60, 150), caption, "black", font=ImageFont.load_default(48))
            for _ in range(20):
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))


@pytest.mark.long
def test_a_frame_of_each_shot_of_a_video_is_read(library: Library, tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    (tmp_path / "films").mkdir()
    save_captioned_video(tmp_path / "films" / "film.mp4", "Chapter one", "Heraklion")
    assert library.index(tmp_path / "films").embedded == 1
    report = library.texts.read()
    assert (report.read, report.with_text, report.failed) == (1, 1, 0)
    best = library.search("heraklion", k=1)[0]
    assert best.matched[0] == Evidence("text", "Heraklion")  # a box would be of the frame, not of the cover


@pytest.mark.parametrize(
    ("cosines", "expected"), [((), (0,)), ((0.99, 0.99), (100,)), ((0.5, 0.99), (0, 200)), ((0.1, 0.1), (0, 100, 200))]
)
def test_shots_begin_where_frames_change(cosines: tuple[float, ...], expected: tuple[int, ...]) -> None:
    angles = np.concatenate([[0.0], np.cumsum(np.arccos(cosines))])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert shot_positions(100 * np.arange(len(angles)), vectors) == expected
    assert shot_positions(np.empty(0, np.int64), np.empty((0, 2), np.float32)) == ()


@pytest.mark.long
def test_commands(with_receipts: Library, photos: Path, load_with: LoadWith) -> None:
    load_with(lambda *_, **__: ColourEncoder())
    at = ["--library", str(with_receipts.path)]
    done = CliRunner().invoke(cli, [*at, "text", "--limit", "3", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["read"] == 3
    done = CliRunner().invoke(cli, [*at, "index", "--text"])
    assert "5 pictures read" in done.stdout, done.output
    done = CliRunner().invoke(cli, [*at, "search", "ikea", "-k", "1"])
    assert 'a.png  (text "IKEA Heraklion")' in done.stdout
    matched = json.loads(CliRunner().invoke(cli, [*at, "search", "ikea", "-k", "1", "--json"]).stdout)[0]["matched"]
    assert matched[0]["kind"] == "text" and len(matched[0]["box"]) == 4


def test_without_the_extra_one_line_says_what_to_install(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    with pytest.raises(ConfigError, match=r"clipsearch\[ocr\]"):
        library.texts.read()
