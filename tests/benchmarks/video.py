"""Reading videos: minutes of 1080p H.264 a minute beside bare keyframe decoding and a full decode, and memory.

The full decode is how MaterialSearch reads a video: every frame is decoded, and one every two seconds is used. The
videos have camera-like motion: a crop that moves over photographs, another one every four seconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.media.video.container import open_video
from clipsearch.media.video.reading import frames_of_video
from indexer.scan import ScannedFile
from indexer.workers import DecodingPool
from tests.benchmarks.setting import Setting
from tests.benchmarks.timing import Figures, LeftOut, alternate_calls, say

SIZE, FPS = (1920, 1080), 25
SCENE_S = 4
MINUTES = 0.5
QUICK_MINUTES = 0.1
ROUNDS = 3
KEYFRAMES_S = (1, 2, 10)
"""Seconds between keyframes: of phones and cameras, of streams, of x264 by default."""

FILM_S = 7200
FILM_SIZE = (640, 360)

_TRANSFORM = ImageTransform(ImageSpec(size=(256, 256)))


def measure(setting: Setting) -> Figures:
    """Speed by the distance of keyframes, and memory over a two-hour file."""
    minutes = QUICK_MINUTES if setting.quick else MINUTES
    pictures = _pictures(setting)
    figures: Figures = {"minutes": minutes, "keyframes": {}}
    for seconds in KEYFRAMES_S:
        path = setting.cache / f"video-{seconds}-{minutes:g}.mp4"
        if not path.exists():
            say(f"  encoding {minutes:g} minutes of 1080p with a keyframe every {seconds} s")
            _encode(path, pictures, SIZE, minutes, keyframe_every=seconds * FPS)
        figures["keyframes"][str(seconds)] = _speed(path, 1 if setting.quick else ROUNDS, minutes)  # type: ignore[index]
    figures["memory"] = _memory(setting, pictures)
    return figures


def _speed(path: Path, rounds: int, minutes: float) -> Figures:
    """Minutes of video read in a minute, median of the rounds."""
    ways: dict[str, Callable[[], int]] = {
        "clipsearch": lambda: sum(len(frames) for frames in frames_of_video(path, _TRANSFORM)),
        "keyframes": lambda: _keyframes(path),
        "full_decode": lambda: _full_decode(path),
    }
    frames = {name: way() for name, way in ways.items()}
    seconds = alternate_calls(ways, rounds)
    found: Figures = {name: round(60 * minutes / statistics.median(taken), 2) for name, taken in seconds.items()}
    return {"minutes_per_minute": found, "frames": frames}


def _keyframes(path: Path) -> int:
    """Decode keyframes and do nothing with them."""
    with open_video(path) as video:
        video.stream.codec_context.skip_frame = "NONKEY"
        return sum(1 for _ in video.container.decode(video.stream))


def _full_decode(path: Path) -> int:
    """Decode every frame, and bring one every two seconds to the model's input."""
    used, following_s = 0, 0.0
    with open_video(path) as video:
        for frame in video.container.decode(video.stream):
            if frame.time >= following_s:
                _TRANSFORM(frame.to_image())
                used, following_s = used + 1, following_s + 2
    return used


def _memory(setting: Setting, pictures: Sequence[Image.Image]) -> Figures:
    """Peak memory of a decoding process after quarters of a two-hour film, in MiB."""
    if not Path("/proc/self/status").exists():
        raise LeftOut("peak memory is read from /proc, which this system does not have")
    minute, film = setting.cache / "video-minute.mp4", setting.scratch / "film.mp4"
    if not minute.exists():
        _encode(minute, pictures, FILM_SIZE, 1.0, keyframe_every=FPS)
    _repeat(minute, film, FILM_S // 60)
    peaks: list[float] = []
    frames, started = 0, time.perf_counter()
    file = ScannedFile(film.parent, film.name, film.stat().st_size, 0)
    with DecodingPool(_TRANSFORM, thumbnails=None, workers=1) as pool:
        for part in pool.read([file], wanted_from=lambda _: 0, look_ahead=1):
            frames += len(part.segments)
            reached = part.segments[-1].position / 1000 / FILM_S if part.segments else 1.0
            if reached >= (len(peaks) + 1) / 4 or part.is_last:
                peaks.append(round(_peak_mib(pool.process_ids[0]), 1))
    mib = film.stat().st_size / 2**20
    film.unlink()
    return {
        "hours": FILM_S / 3600,
        "film_mib": round(mib),
        "frames": frames,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mib_by_quarter": peaks[:4],
    }


def _peak_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _pictures(setting: Setting) -> list[Image.Image]:
    """Photographs to move over, larger than a frame."""
    from skimage import data

    arrays = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    return [ImageOps.fit(Image.fromarray(array).convert("RGB"), (2400, 1350)) for array in arrays]


def _encode(
    path: Path, pictures: Sequence[Image.Image], size: tuple[int, int], minutes: float, *, keyframe_every: int
) -> None:
    unfinished = path.with_suffix(".part.mp4")
    width, height = size
    scale = width / SIZE[0]
    arrays = [
        np.asarray(picture.resize((round(picture.width * scale), round(picture.height * scale))))
        for picture in pictures
    ]
    noise = np.random.default_rng(0).integers(-3, 4, (height, width, 1), dtype=np.int16)
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "x264-params": "scenecut=0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = keyframe_every
        for number in range(round(minutes * 60 * FPS)):
            frame = av.VideoFrame.from_ndarray(_shown(arrays, number, size, noise), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    unfinished.replace(path)


def _shown(
    arrays: Sequence[NDArray[np.uint8]], number: int, size: tuple[int, int], noise: NDArray[np.int16]
) -> NDArray[np.uint8]:
    """A crop that moves over a picture, with a camera's noise."""
    scene, place = divmod(number, SCENE_S * FPS)
    array = arrays[scene % len(arrays)]
    share = place / (SCENE_S * FPS)
    x, y = (round(share * (side - part)) for side, part in zip(array.shape[1::-1], size, strict=True))
    crop = array[y : y + size[1], x : x + size[0]].astype(np.int16)
    shown: NDArray[np.uint8] = np.clip(crop + np.roll(noise, number * 7, axis=1), 0, 255).astype(np.uint8)
    return shown


def _repeat(source: Path, target: Path, times: int) -> None:
    """Write a video several times in a row, packet by packet."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = read.streams.video[0]
        copy = write.add_stream_from_template(stream)
        base = stream.time_base or Fraction(1, 1000)
        length = round(60 / base)
        contents = [
            (bytes(packet), packet.pts, packet.dts, packet.is_keyframe)
            for packet in read.demux(stream)
            if packet.dts is not None and packet.pts is not None
        ]
        for turn in range(times):
            for content, pts, dts, is_keyframe in contents:
                packet = av.Packet(content)
                packet.pts, packet.dts, packet.time_base = pts + turn * length, dts + turn * length, base
                packet.is_keyframe, packet.stream = is_keyframe, copy
                write.mux(packet)
