"""Reading videos: containers and codecs, rotation, frame rates, HDR, metadata, and files that are broken or odd."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from clipsearch.errors import ImageReadError
from clipsearch.media.loading import hash_file, load_picture, open_media
from clipsearch.media.metadata.values import ImageMetadata, Source
from clipsearch.media.parts import MediaPart, Reading
from clipsearch.media.readers import reader_of
from clipsearch.media.segments import SegmentKind
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.media.video import sampling
from clipsearch.media.video.metadata import read_iso_6709, read_video_metadata
from clipsearch.media.video.sampling import MAX_FRAMES
from tests.videos import COLORS, write_video, write_video_apart

TRANSFORM = ImageTransform(ImageSpec(size=(16, 16), resize_mode="squash"))
NAMES = {(255, 0, 0): "red", (0, 255, 0): "lime", (0, 0, 255): "blue", (255, 255, 255): "white", (0, 0, 0): "black"}


def parts_of(path: Path, *, start_ms: int = 0) -> list[MediaPart]:
    reader = reader_of(path, path.read_bytes()[:64])
    content = None if reader.streams else path.read_bytes()
    reading = Reading(path, content, TRANSFORM, None, start_ms, lambda _: nullcontext(), lambda: None)
    return list(reader.parts(reading))


def color_of(pixels: Any) -> str:
    """The color that is nearest to the middle of a picture."""
    middle = np.asarray(pixels, dtype=float)[4:12, 6:14].reshape(-1, 3).mean(axis=0)
    return min(NAMES.items(), key=lambda item: float(np.linalg.norm(middle - item[0])))[1]


def frames_of(path: Path, *, start_ms: int = 0) -> list[tuple[float, str]]:
    """When which color was seen, in seconds."""
    return [
        (segment.position / 1000, color_of(pixels))
        for part in parts_of(path, start_ms=start_ms)
        for segment, pixels in zip(part.segments, part.pixels, strict=True)
    ]


EVERY_SCENE = [(0.0, "red"), (3.0, "lime"), (6.0, "blue")]


# --- containers and codecs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mp4", {}),
        ("h264.mov", {}),
        ("h264.m4v", {"file_format": "mp4"}),
        ("h264.mkv", {}),
        ("h264.avi", {}),
        ("h264.3gp", {}),
        ("h264.mts", {"file_format": "mpegts"}),
        ("fragmented.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "keyframe_every": 20}),
        ("open-gop.mp4", {"codec_options": {"x264-params": "open-gop=1:bframes=3:keyint=7:min-keyint=7"}}),
        ("hevc.mp4", {"codec": "libx265", "codec_options": {"x265-params": "log-level=none"}}),
        (
            "hevc-10-bit.mp4",
            {"codec": "libx265", "pix_fmt": "yuv420p10le", "codec_options": {"x265-params": "log-level=none"}},
        ),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("av1.mp4", {"codec": "libsvtav1", "size": (64, 64), "codec_options": {"preset": "12"}}),
        ("mpeg4.avi", {"codec": "mpeg4"}),
        ("mpeg2.mpg", {"codec": "mpeg2video", "fps": 25}),
        ("mjpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("prores.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
        ("keyframes-only.mp4", {"keyframe_every": 1}),
        ("keyframe-a-second.mp4", {"keyframe_every": 10}),
        ("with-sound.mp4", {"with_sound": True}),
    ],
)
def test_each_scene_is_seen_once_when_it_begins(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    write = write_video_apart if options.get("codec") == "libsvtav1" else write_video
    path = write(tmp_path / name, **options)
    seen = frames_of(path)
    assert [color for _, color in seen] == ["red", "lime", "blue"]
    # AVI has no time stamps of showing, so that a scene may be seen an interval later
    assert all(abs(at - wanted) <= 1.1 for (at, _), (wanted, _) in zip(seen, EVERY_SCENE, strict=True)), seen
    header = parts_of(path)[0].header
    assert header.duration_ms is not None and abs(header.duration_ms - 9000) < 1200  # estimated
    assert (header.width, header.height) == options.get("size", (64, 48))
    assert header.codec is not None and header.frame_rate == pytest.approx(options.get("fps", 10), abs=0.5)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_are_upright(tmp_path: Path, degrees: int) -> None:
    write_video(tmp_path / "upright.mp4", [("white", 1)], size=(64, 32))
    turned = write_video(tmp_path / "turned.mp4", [("white", 1)], size=(64, 32), rotation=degrees)
    header = parts_of(turned)[0].header
    expected = load_picture(tmp_path / "upright.mp4").rotate(degrees, expand=True)
    assert (header.width, header.height) == expected.size
    assert np.abs(np.asarray(load_picture(turned), int) - np.asarray(expected, int)).mean() < 4


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    def widen(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = 2

    path = write_video(tmp_path / "wide.mp4", [("red", 1)], size=(64, 64), configure=widen)
    assert load_picture(path).size == (128, 64)


def test_variable_frame_rate_goes_by_time_stamps(tmp_path: Path) -> None:
    times = [*(0.3 * number for number in range(10)), *(20.0 + number for number in range(10)), 40.3]
    scenes = [("red", 1.0), ("lime", 1.0), ("blue", 0.1)]
    assert frames_of(write_video(tmp_path / "slow.mkv", scenes, times=times)) == [
        (0.0, "red"),
        (20.0, "lime"),
        (40.3, "blue"),
    ]


@pytest.mark.long
def test_high_dynamic_range_is_mapped(tmp_path: Path) -> None:
    def to_pq(stream: Any) -> None:
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        stream.codec_context.colorspace = 9

    options: dict[str, Any] = {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "codec_options": {"x265-params": "log-level=none:colorprim=9:transfer=16:colormatrix=9"},
    }
    hdr = write_video(tmp_path / "hdr.mp4", [("gray", 1)], configure=to_pq, **options)
    sdr = write_video(tmp_path / "sdr.mp4", [("gray", 1)], codec="libx265", pix_fmt="yuv420p10le")
    bright, plain = (np.asarray(load_picture(path))[:, 20:].mean() for path in (hdr, sdr))
    # the code value 128 is 92 cd/m² in PQ (SMPTE ST 2084), nearly the white of an SDR picture
    assert bright > plain + 30


# --- sampling ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyframe_every", [1, 5, 10, 17, 250])
def test_at_most_one_frame_a_second(tmp_path: Path, keyframe_every: int) -> None:
    colors = [(f"hsl({47 * number % 360}, 100%, 50%)", 0.3) for number in range(40)]
    seen = frames_of(write_video(tmp_path / "busy.mp4", colors, keyframe_every=keyframe_every))
    seconds = [int(at + 1e-6) for at, _ in seen]
    assert len(seconds) == len(set(seconds))
    assert len(seconds) >= 6 and seconds[-1] >= 10


@pytest.mark.long
def test_a_long_video_is_sampled_over_all_of_its_length(tmp_path: Path) -> None:
    hours = 4
    times = [5.0 * number for number in range(hours * 720)]
    colors = [(f"hsl({47 * number % 360}, 100%, 50%)", 0.1) for number in range(len(times))]
    path = write_video(tmp_path / "long.mkv", colors, times=times, keyframe_every=1, size=(16, 16))
    seen = frames_of(path)
    assert len(times) // 2 < len(seen) <= MAX_FRAMES
    assert seen[-1][0] > times[-1] - 20


def test_reading_goes_on_after_a_position_and_gives_nothing_twice(tmp_path: Path) -> None:
    colors = [(f"hsl({47 * number % 360}, 100%, 50%)", 1.0) for number in range(20)]
    path = write_video(tmp_path / "film.mp4", colors, keyframe_every=25)
    every = frames_of(path)
    assert len(every) >= 12
    for place, (at, _) in enumerate(every[:-1]):
        assert frames_of(path, start_ms=round(1000 * at) + 1) == every[place + 1 :]
    assert frames_of(path, start_ms=60_000) == []
    assert parts_of(path, start_ms=60_000)[-1].is_last


def test_a_frame_is_found_again_by_its_position(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4")
    found = [color_of(open_media(path).picture(at_s=at).resize((16, 16))) for at in (0.0, 2.9, 3.0, 5.5, 8.0, 9.0)]
    assert found == ["red", "red", "lime", "lime", "blue", "blue"]
    with pytest.raises(ImageReadError, match=r"it has no frame at 1:40; it is 0:09 long$"):
        open_media(path).picture(at_s=100.0)


def test_the_cover_is_no_black_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "fade.mp4", [("black", 2.0), ("red", 2.0)])
    assert color_of(load_picture(path).resize((16, 16))) == "red"


@pytest.mark.parametrize(
    ("name", "frame_ms", "is_video"),
    [("a.gif", 600, True), ("a.gif", 200, False), ("a.webp", 600, True), ("a.webp", 200, False)],
)
def test_animations_of_more_than_a_second_are_videos(tmp_path: Path, name: str, frame_ms: int, is_video: bool) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "lime", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=frame_ms, lossless=True)
    (part,) = parts_of(tmp_path / name)
    assert [segment.kind == SegmentKind.FRAME for segment in part.segments] == [is_video] * (2 if is_video else 1)
    assert part.header.duration_ms == (1800 if is_video else None)
    if is_video:
        assert frames_of(tmp_path / name) == [(0.0, "red"), (1.2, "blue")]


# --- metadata ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "latitude", "longitude", "altitude"),
    [
        ("+48.8577+002.2950+035.000/", 48.8577, 2.295, 35.0),
        ("-33.8568+151.2153/", -33.8568, 151.2153, None),
        ("+4851.462-00217.70/", 48.8577, -2.295, None),
        ("+485127.72+0021742.0/", 48.8577, 2.295, None),
        ("+00.0000+000.0000/", None, None, None),
        ("+99.0+002.0/", None, None, None),
        ("somewhere", None, None, None),
    ],
)
def test_places_of_iso_6709(text: str, latitude: float | None, longitude: float | None, altitude: float | None) -> None:
    found = read_iso_6709(text)
    assert found.latitude == (pytest.approx(latitude, abs=1e-6) if latitude is not None else None)
    assert found.longitude == (pytest.approx(longitude, abs=1e-6) if longitude is not None else None)
    assert found.altitude_m == altitude


def test_metadata_of_a_phone() -> None:
    found = read_video_metadata(
        {
            "creation_time": "2021-07-14T17:28:37.000000Z",
            "com.apple.quicktime.creationdate": "2021-07-14T19:28:37+0200",
            "com.apple.quicktime.location.ISO6709": "+35.3417+025.1442+035.000/",
            "com.apple.quicktime.make": "Apple",
            "com.apple.quicktime.model": "iPhone 12",
            "title": "On  the beach",
        },
        {"creation_time": "1970-01-01T00:00:00Z"},
    )
    assert found == ImageMetadata(
        taken_at=datetime(2021, 7, 14, 19, 28, 37),
        taken_offset_min=120,
        taken_source=Source.CONTAINER,
        camera="Apple iPhone 12",
        latitude=35.3417,
        longitude=25.1442,
        altitude_m=35.0,
        position_source=Source.CONTAINER,
        title="On the beach",
    )


def test_metadata_is_read_from_files(tmp_path: Path) -> None:
    metadata = {"creation_time": "2021-07-14T17:28:37Z", "location": "+35.3417+025.1442/", "title": "Crete"}
    path = write_video(
        tmp_path / "a.mov", [("red", 1)], metadata=metadata, container_options={"movflags": "use_metadata_tags"}
    )
    found = parts_of(path)[0].header.metadata
    assert (found.taken_at, found.title) == (datetime(2021, 7, 14, 17, 28, 37), "Crete")
    assert (found.latitude, found.longitude) == (35.3417, 25.1442)


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "1904-01-01T00:00:00Z", "2021", "", "yesterday"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert read_video_metadata({"creation_time": text, "date": text}).taken_at is None


# --- broken and odd files ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odd:
    """A broken or odd file: how it is made, and the colors seen in it or the words of the error."""

    name: str
    make: Callable[[Path], None]
    seen: list[str] = field(default_factory=list)
    error: str = ""


def cut_to(share: float, **options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = write_video(path, **options).read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return make


def overwrite(start: float, end: float, **options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = bytearray(write_video(path, **options).read_bytes())
        first, last = int(start * len(content)), int(end * len(content))
        content[first:last] = np.random.default_rng(1).bytes(last - first)
        path.write_bytes(content)

    return make


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def sound_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def header_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = 64, 48
        container.start_encoding()


def picture_named_video(path: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(path, "JPEG")


def playlist(path: Path) -> None:
    path.write_text(f"#EXTM3U\n#EXTINF:9,\nfile://{write_video(path.parent / 'other.ts', file_format='mpegts')}\n")


def concat_script(path: Path) -> None:
    write_video(path.parent / "other.mp4")
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


def huge_frame(path: Path) -> None:
    """The size in the header of the track says 40,000 × 40,000 pixels."""
    data = write_video(path, [("red", 1)]).read_bytes()
    path.write_bytes(data.replace(struct.pack(">HH", 64, 48), struct.pack(">HH", 40000, 40000)))


def other_brand(path: Path) -> None:
    data = write_video(path).read_bytes()
    path.write_bytes(data[:8] + b"XXXX" + data[12:])


ODD = [
    Odd("empty.mp4", content(b""), error="empty"),
    Odd("text.mp4", content(b"no video at all" * 100), error="not a video"),
    Odd("zeros.mov", content(bytes(100_000)), error="not a video"),
    Odd("random.mkv", content(np.random.default_rng(0).bytes(100_000)), error="not a video"),
    Odd("only-ftyp.mp4", content(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"), error="not a video|no video"),
    Odd("no-moov.mp4", cut_to(0.5), error="not a video"),
    Odd("sound-only.mp4", sound_only, error="no video"),
    Odd("header-only.mp4", header_only, error="frame|video"),
    Odd("picture.mp4", picture_named_video, error="not a video"),
    Odd("playlist.mp4", playlist, error="not a video"),
    Odd("concat.mp4", concat_script, error="not a video"),
    Odd("truncated.mkv", cut_to(0.6, codec="mpeg4", keyframe_every=5), seen=["red", "lime"]),
    Odd("truncated.mts", cut_to(0.6, file_format="mpegts", keyframe_every=5), seen=["red", "lime"]),
    Odd(
        "cut-off-faststart.mp4",
        cut_to(0.7, container_options={"movflags": "faststart"}, codec="mpeg4", keyframe_every=5),
        seen=["red", "lime"],
    ),
    Odd("one-frame.mp4", lambda path: write_video(path, [("red", 0.1)]) and None, seen=["red"]),
    Odd("ten-frames.mp4", lambda path: write_video(path, [("red", 0.5), ("lime", 0.5)]) and None, seen=["red"]),
    Odd("one-pixel.mkv", lambda path: write_video(path, [("red", 1)], size=(2, 2)) and None, seen=["red"]),
    Odd("two-fps.mp4", lambda path: write_video(path, fps=2) and None, seen=["red", "lime", "blue"]),
    Odd("240-fps.mp4", lambda path: write_video(path, [("red", 1), ("lime", 1)], fps=240) and None, ["red", "lime"]),
    Odd("other-brand.mp4", other_brand, seen=["red", "lime", "blue"]),
    Odd("mkv-named.mp4", lambda path: write_video(path, file_format="matroska") and None, ["red", "lime", "blue"]),
    Odd("capitals.MP4", lambda path: write_video(path, file_format="mp4") and None, seen=["red", "lime", "blue"]),
    Odd("höhe %d #1 :.mp4", lambda path: write_video(path) and None, seen=["red", "lime", "blue"]),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_odd_files_are_read_or_have_a_reason(tmp_path: Path, odd: Odd) -> None:
    path = tmp_path / odd.name
    odd.make(path)
    if odd.error:
        with pytest.raises(ImageReadError, match=odd.error):
            hash_file(path)
            parts_of(path)
    else:
        seen = [color for _, color in frames_of(path)]
        assert list(dict.fromkeys(seen)) == odd.seen


@pytest.mark.parametrize("name", ["damaged.mp4", "damaged.mkv", "damaged.avi", "damaged.webm"])
def test_damage_costs_no_more_than_what_is_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(path.suffix, "libx264")
    overwrite(0.45, 0.5, codec=codec, keyframe_every=5)(path)
    assert [color for _, color in frames_of(path)][:1] == ["red"]


def test_frames_larger_than_any_camera_are_refused(tmp_path: Path) -> None:
    huge_frame(tmp_path / "huge.mp4")
    try:
        assert [color for _, color in frames_of(tmp_path / "huge.mp4")] == [
            "red"
        ]  # the codec's own size is the true one
    except ImageReadError as error:
        assert "large" in str(error) or "damaged" in str(error)


def test_scenes_are_those_that_were_written() -> None:
    assert [color for color, _ in COLORS] == [color for _, color in EVERY_SCENE]


def test_nothing_is_decoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colors = [(f"hsl({47 * number % 360}, 100%, 50%)", 1.0) for number in range(20)]
    path = write_video(tmp_path / "film.mp4", colors, keyframe_every=10)
    made: list[object] = []
    to_image = sampling.to_image
    monkeypatch.setattr(sampling, "to_image", lambda frame, size: made.append(frame) or to_image(frame, size))
    assert len(frames_of(path)) == len(made) == 20


def test_a_still_film_has_a_cover_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "still.mkv", [("red", 120.0)], fps=5, size=(16, 16), keyframe_every=5)
    made: list[object] = []
    to_image = sampling.to_image
    monkeypatch.setattr(sampling, "to_image", lambda frame, size: made.append(frame) or to_image(frame, size))
    assert color_of(load_picture(path).resize((16, 16))) == "red"
    assert len(made) < 30
