"""Videos in a library: indexed in parts, resumed, moved, migrated; the moments that a search finds in them."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from clipsearch.cli.previews import preview_jpeg
from clipsearch.errors import ImageReadError, QueryError
from clipsearch.library import Library
from clipsearch.media.segments import SegmentKind
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.retrieval.results import ResultSegment, result_to_json
from indexer.read import ReadFile
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool
from tests.conftest import ColourEncoder, OpenCatalog, save_photo
from tests.videos import write_slides, write_video


def film(path: Path) -> Path:
    """A minute, each second of another color, with a keyframe a second."""
    colors = [(f"hsl({47 * number % 360}, 100%, {40 + number % 3 * 10}%)", 1.0) for number in range(60)]
    return write_video(path, colors, keyframe_every=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos and two photos."""
    folder = tmp_path / "media"
    folder.mkdir()
    write_video(folder / "lights.mp4", [("red", 3), ("lime", 3), ("blue", 3)])
    write_video(folder / "signs.mkv", [("yellow", 2), ("red", 2), ("yellow", 2), ("red", 2)])
    save_photo(folder / "purple.png", (128, 0, 128))
    save_photo(folder / "lime.png", (0, 255, 0))
    return folder


def found(library: Library, query: str, **options: object) -> list[tuple[str, float | None, float | None]]:
    return [
        (result.path.name, result.segment.start_s, result.segment.end_s)
        for result in library.search(query, **options)  # type: ignore[arg-type]
    ]


def test_a_search_finds_the_video_and_the_moment(library: Library, folder: Path) -> None:
    report = library.index(folder)
    assert (report.embedded, report.failures) == (4, [])
    assert found(library, "blue", k=1) == [("lights.mp4", 6.0, 9.0)]
    (first, second) = library.search("lime", k=2)
    assert first.path.name == "lime.png" and first.segment == ResultSegment(SegmentKind.IMAGE)
    assert second.path.name == "lights.mp4" and second.segment == ResultSegment(SegmentKind.FRAME, 3.0, 6.0, 3.0)
    assert (first.duration_s, second.duration_s) == (None, 9.0)
    assert result_to_json(second)["segment"] == {"kind": "frame", "start_s": 3.0, "end_s": 6.0, "at_s": 3.0}
    assert result_to_json(first)["segment"] == {"kind": "image", "start_s": None, "end_s": None, "at_s": None}


def test_a_video_is_one_result_or_one_for_each_moment(library: Library, folder: Path) -> None:
    library.index(folder)
    by_video = found(library, "red kind:video", k=10)
    assert sorted(by_video)[1:] == [("signs.mkv", 2.0, 4.0)] or sorted(by_video)[1:] == [("signs.mkv", 6.0, 8.0)]
    assert sorted(by_video)[0] == ("lights.mp4", 0.0, 3.0)
    every = library.search("red kind:video", k=10, moments=True)
    assert {(item.path.name, item.segment.start_s) for item in every[:3]} == {
        ("signs.mkv", 2.0),
        ("signs.mkv", 6.0),
        ("lights.mp4", 0.0),
    }
    assert [item.rank for item in every] == list(range(1, len(every) + 1))
    scores = [item.score or 0.0 for item in every]
    assert scores == sorted(scores, reverse=True)
    pages = [found(library, "red kind:video", k=2, offset=offset, moments=True) for offset in (0, 2)]
    assert pages[0] + pages[1] == found(library, "red kind:video", k=4, moments=True)


@pytest.mark.long
def test_results_are_in_the_order_of_their_scores(library: Library, folder: Path) -> None:
    """A video scores less than its nearest frame, so it waits for what is found after it."""
    colors = [(f"hsl({15 * number}, 100%, {30 + 5 * (number % 8)}%)", 1.0) for number in range(24)]
    for number in range(12):
        write_video(folder / f"{number}.mp4", colors[number:] + colors[:number], keyframe_every=10)
        save_photo(folder / f"{number}.png", (20 * number, 255 - 20 * number, 30))
    library.index(folder)
    for query in ("lime", "hsl(40,100%,40%)"):
        every = library.search(query, k=100)
        scores = [result.score or 0.0 for result in every]
        assert len(every) == 28 and scores == sorted(scores, reverse=True)
        pages = [library.search(query, k=5, offset=offset) for offset in range(0, 30, 5)]
        assert [item.path for page in pages for item in page] == [item.path for item in every]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("kind:video", {"lights.mp4", "signs.mkv"}),
        ("kind:image", {"purple.png", "lime.png"}),
        ("duration:>8.5s", {"lights.mp4"}),
        ("duration:8", {"signs.mkv"}),
        ("duration:5s..0.1h", {"lights.mp4", "signs.mkv"}),
        ("duration:>1m", set()),
        ("not duration:>1s", {"purple.png", "lime.png"}),
    ],
)
def test_filters(library: Library, folder: Path, query: str, names: set[str]) -> None:
    library.index(folder)
    assert {result.path.name for result in library.search(query)} == names


def test_pictures_find_videos_and_videos_find_pictures(library: Library, folder: Path, tmp_path: Path) -> None:
    library.index(folder)
    photo = save_photo(tmp_path / "query.png", (0, 0, 250))
    (first, *_) = library.similar(photo)
    assert (first.path.name, first.segment.start_s) == ("lights.mp4", 6.0)
    inside = library.similar(folder / "lights.mp4", at_s=4.0, k=1)
    assert [result.path.name for result in inside] == ["lime.png"]
    outside = write_video(tmp_path / "other.mp4", [("lime", 2), ("purple", 4)])
    assert {result.path.name for result in library.similar(outside, at_s=1.0, k=2)} == {"lime.png", "lights.mp4"}
    assert "lights.mp4" not in {result.path.name for result in library.similar(folder / "lights.mp4")}
    digest = library.search("blue", k=1)[0].content_hash
    assert library.similar(f"~#{digest}", at_s=3.5, k=1)[0].path.name == "lime.png"
    whole = library.similar(write_video(tmp_path / "same.mp4", [("red", 3), ("lime", 3), ("blue", 3)], fps=5))
    assert whole[0].path.name == "lights.mp4"


@pytest.mark.parametrize(("name", "at_s"), [("lime.png", 1.0), ("lights.mp4", -1.0)])
def test_a_time_needs_a_video(library: Library, folder: Path, name: str, at_s: float) -> None:
    library.index(folder)
    with pytest.raises(QueryError, match="--at needs"):
        library.similar(folder / name, at_s=at_s)


def test_a_time_after_the_end_is_refused_with_the_length(library: Library, folder: Path, tmp_path: Path) -> None:
    library.index(folder)
    with pytest.raises(QueryError, match=r"^1:23 is after the end: the video is 0:09 long$"):
        library.similar(folder / "lights.mp4", at_s=83.0)
    assert library.similar(folder / "lights.mp4", at_s=9.0, k=1)
    outside = write_video(tmp_path / "other.mp4", [("lime", 2), ("purple", 4)])
    with pytest.raises(ImageReadError, match=r"it has no frame at 0:07; it is 0:06 long$"):
        library.similar(outside, at_s=7.0)
    assert library.similar(outside, at_s=6.0, k=1)


@pytest.mark.parametrize("name", ["anim.gif", "anim.webp"])
def test_an_animation_is_shown_and_compared_at_a_time(
    library: Library, folder: Path, tmp_path: Path, name: str
) -> None:
    colors = ("red", "red", "blue", "blue")
    first, *more = (Image.new("RGB", (60, 40), color) for color in colors)
    for path in (folder / name, tmp_path / f"other-{name}"):
        first.save(path, save_all=True, append_images=more, duration=700 + 20 * (path.parent == tmp_path), loop=0)
    library.index(folder)
    (result, *_) = [item for item in library.search("blue kind:video", k=5) if item.path.name == name]
    assert result.segment.at_s == 1.4
    shown = preview_jpeg(replace(result, thumbnail=None))
    assert shown is not None and Image.open(io.BytesIO(shown)).convert("RGB").getpixel((20, 20))[2] > 200  # type: ignore[index]
    assert library.similar(tmp_path / f"other-{name}", at_s=2.0, k=1)[0].path.name in ("lights.mp4", name)
    assert library.similar(tmp_path / f"other-{name}", at_s=0.5, k=9)[0].segment.at_s in (0.0, 2.0)
    with pytest.raises(ImageReadError, match=r"it has no frame at 0:03; it is 0:02 long$"):
        library.similar(tmp_path / f"other-{name}", at_s=3.0)


def test_the_whole_is_the_mean_of_the_frames(library: Library, folder: Path, open_catalog: OpenCatalog) -> None:
    library.index(folder)
    (result,) = library.search("duration:>8.5s")
    catalog = open_catalog(library)
    model = catalog.models.active()
    assert model is not None
    stored = catalog.embedding_of(result.content_hash, model.id)
    assert stored is not None
    frames = catalog.frames_of([stored[0]], dim=model.dim)[stored[0]]
    assert frames.positions.tolist() == [0, 3000, 6000]
    mean = frames.vectors.astype(np.float32).mean(axis=0)
    assert np.allclose(stored[1], mean / np.linalg.norm(mean), atol=2e-3)


def test_moves_and_copies_cost_nothing(library: Library, folder: Path, encoder: ColourEncoder) -> None:
    library.index(folder)
    embedded = encoder.embedded
    (folder / "lights.mp4").rename(folder / "moved.mp4")
    shutil.copy(folder / "signs.mkv", folder / "copy.mkv")
    report = library.index(folder)
    assert (report.embedded, report.removed, encoder.embedded) == (0, 0, embedded)
    assert {path for path, *_ in found(library, "kind:video", group="none")} == {"moved.mp4", "signs.mkv", "copy.mkv"}


class Interrupted(Exception):
    """Ends a run."""


@pytest.mark.long
def test_an_interrupted_video_goes_on_where_it_was(
    library: Library, tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "film"
    folder.mkdir()
    film(folder / "film.mp4")
    monkeypatch.setattr("indexer.embedding.SMALL_BATCH", 2)  # of parts of eight frames
    limit, embed = 40, encoder.encode_pixels

    def until_interrupted(pixels: np.ndarray) -> np.ndarray:
        if encoder.embedded + len(pixels) > limit:
            raise Interrupted
        return embed(pixels)

    monkeypatch.setattr(encoder, "encode_pixels", until_interrupted)
    with pytest.raises(Interrupted):
        library.index(folder)
    before = encoder.embedded
    assert 0 < before <= limit
    monkeypatch.setattr(encoder, "encode_pixels", embed)
    assert library.index(folder).embedded == 1
    assert encoder.embedded == 60
    assert len(library.search("hsl(0,100%,50%)", k=100, moments=True)) > 5


def test_a_live_photo_stays_one_result(library: Library, folder: Path) -> None:
    write_video(folder / "IMG_1.MOV", [("orange", 2)], file_format="mov")
    save_photo(folder / "IMG_1.JPG", (255, 165, 0))
    library.index(folder)
    (first, *others) = library.search("orange", k=10)
    assert (first.path.name, first.stack) == ("IMG_1.JPG", (folder / "IMG_1.MOV",))
    assert "IMG_1.MOV" not in {result.path.name for result in others}
    (folder / "IMG_1.JPG").unlink()
    library.index(folder)
    assert "IMG_1.MOV" in {result.path.name for result in library.search("orange", k=10)}


def test_a_video_that_cannot_be_read_has_a_reason_and_costs_nothing_else(library: Library, folder: Path) -> None:
    (folder / "broken.mp4").write_bytes((folder / "lights.mp4").read_bytes()[:500])
    report = library.index(folder)
    (failure,) = report.failures
    assert failure.path.name == "broken.mp4" and "damaged" in failure.reason
    assert report.embedded == 4


# --- parts in processes -----------------------------------------------------------------------------------


def parts_from(pool: DecodingPool, path: Path) -> list[ReadFile]:
    seen = path.stat()
    file = ScannedFile(path.parent, path.name, seen.st_size, seen.st_mtime_ns)
    return list(pool.read([file], wanted_from=lambda _: 0, look_ahead=1))


def test_a_long_video_comes_in_small_parts(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    with DecodingPool(ImageTransform(ImageSpec(size=(32, 32))), thumbnails=None, workers=1) as pool:
        parts = parts_from(pool, path)
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert max(len(part.segments) for part in parts) == 8
    positions = [segment.position for part in parts for segment in part.segments]
    assert positions == sorted(set(positions)) and len(positions) == 60


@pytest.mark.long
def test_the_time_limit_counts_for_each_part(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    transform = ImageTransform(ImageSpec(size=(32, 32)))
    with DecodingPool(transform, thumbnails=None, workers=1, time_limit_s=1.0) as pool:
        parts = []
        for part in pool.read([ScannedFile(tmp_path, path.name, 1, 1)], wanted_from=lambda _: 0, look_ahead=1):
            parts.append(part)
            time.sleep(0.3)  # all of them take longer than the limit
    assert parts[-1].is_last and all(part.failure is None for part in parts)


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_process_that_dies_in_the_middle_is_replaced(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    done: list[int] = [0]
    with DecodingPool(ImageTransform(ImageSpec(size=(32, 32))), thumbnails=None, workers=1) as pool:
        file = ScannedFile(tmp_path, path.name, 1, 1)
        positions: list[int] = []
        for number, part in enumerate(pool.read([file], wanted_from=lambda _: done[0], look_ahead=1)):
            positions += [segment.position for segment in part.segments]
            done[0] = positions[-1] + 1
            if number == 1:
                os.kill(pool.process_ids[0], signal.SIGKILL)
    assert part.is_last and part.failure is None
    assert len(set(positions)) == 60


@pytest.mark.parametrize("read_first", [0, 1, 3])
def test_a_reader_that_loses_interest_ends_at_once(tmp_path: Path, read_first: int) -> None:
    files = []
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        film(tmp_path / name)
        files.append(ScannedFile(tmp_path, name, 1, 1))
    with DecodingPool(ImageTransform(ImageSpec(size=(32, 32))), thumbnails=None, workers=2) as pool:
        parts = pool.read(files, wanted_from=lambda _: 0, look_ahead=3)
        for _ in range(read_first):
            next(parts)
        parts.close()
        assert {part.file.relative_path for part in pool.read(files, wanted_from=lambda _: 0, look_ahead=3)} == {
            "a.mp4",
            "b.mp4",
            "c.mp4",
        }


def test_videos_are_counted_where_the_extra_is_missing(
    open_library: Callable[..., Library], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library()
    library.index(folder)
    (readable,) = {result.path for result in library.search("duration:>8.5s")}
    write_video(folder / "new.mp4", [("red", 1)])
    from clipsearch.media import readers
    from indexer import plan, scan

    suffixes = frozenset().union(*(reader.suffixes for reader in readers.READERS[1:]))
    monkeypatch.setattr(scan, "MEDIA_SUFFIXES", suffixes)
    monkeypatch.setattr(readers, "has_extra", lambda _: False)
    monkeypatch.setattr(plan, "has_extra", lambda _: False)
    report = library.index(folder)
    assert report.unread == {"mp4": 1} and report.removed == 0
    assert readable in {result.path for result in library.search("kind:video")}


# --- other commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_an_export_brings_videos_with_their_frames(
    open_library: Callable[..., Library], folder: Path, tmp_path: Path, encoder: ColourEncoder, form: str
) -> None:
    library = open_library()
    library.index(folder)
    library.maintenance.export(tmp_path / "export", format=form)
    other = open_library(tmp_path / "other")
    other.maintenance.import_from(tmp_path / "export")
    embedded = encoder.embedded
    assert found(other, "blue", k=1) == [("lights.mp4", 6.0, 9.0)]
    assert found(other, "kind:video", k=9) == found(library, "kind:video", k=9)
    assert other.index(folder).embedded == 0 and encoder.embedded == embedded


def test_a_check_finds_nothing_and_makes_missing_previews(library: Library, folder: Path) -> None:
    library.index(folder)
    assert not library.maintenance.check(full=True).findings
    (result,) = library.search("duration:>8.5s")
    assert result.thumbnail is not None
    result.thumbnail.unlink()
    library.maintenance.check(full=True, repair=True)
    assert library.search("duration:>8.5s")[0].thumbnail is not None


def test_compacting_drops_the_frames_of_what_is_gone(library: Library, folder: Path, open_catalog: OpenCatalog) -> None:
    library.index(folder)
    before = open_catalog(library).upkeep.count_embeddings()
    (folder / "lights.mp4").unlink()
    library.index(folder, prune=True)
    library.maintenance.compact()
    assert open_catalog(library).upkeep.count_embeddings() == before - 4


@pytest.mark.long
def test_only_videos_are_duplicates_of_videos(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    pictures = [save_photo(tmp_path / f"{color}.png", color) for color in ((200, 40, 40), (40, 200, 40))]
    for name, codec in (("one.webm", "libvpx-vp9"), ("same.mp4", "libx264")):
        write_slides(folder / name, pictures, codec=codec)
    shutil.copy(folder / "one.webm", folder / "copy.webm")
    with Image.open(pictures[0]) as opened:
        ImageOps.fit(opened, (320, 240)).save(folder / "cover.png")
    library.index(folder)
    groups = [{file.path.name for file in group.files} for group in library.duplicates.find()]
    assert not any("cover.png" in group for group in groups)
    assert any({"one.webm", "copy.webm"} <= group for group in groups)


def test_the_page_has_frames_and_a_match_curve(library: Library, folder: Path) -> None:
    library.index(folder)
    (result,) = library.search("duration:>8.5s")
    curve = library.browse.match_curve(result.content_hash, "blue folder:media")
    assert curve.times_s == (0.0, 3.0, 6.0)
    assert max(range(3), key=curve.scores.__getitem__) == 2
    assert (curve.moments[0].start_ms, curve.moments[0].end_ms) == (6000, 9000)
    assert library.browse.match_curve(result.content_hash, "").scores == ()
    jpeg = library.browse.frame(result.content_hash, 4.0).jpeg
    with Image.open(io.BytesIO(jpeg)) as frame:
        red, green, _ = frame.convert("RGB").getpixel((frame.width // 2, frame.height // 2))  # type: ignore[misc]
    assert green > 200 and red < 60
    details = library.browse.picture(result.content_hash)
    assert (details.duration_s, details.codec, details.frame_rate) == (9.0, "h264", 10.0)
