"""Videos with known content by the second, made with PyAV."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

Scene = tuple[str, float]
"""A color by name, and for how many seconds it is shown."""

COLORS: Sequence[Scene] = (("red", 3.0), ("lime", 3.0), ("blue", 3.0))


def write_video(
    path: Path,
    scenes: Sequence[Scene] = COLORS,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    keyframe_every: int = 250,
    rotation: int = 0,
    file_format: str | None = None,
    metadata: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
    times: Sequence[float] | None = None,
    with_sound: bool = False,
    configure: Any = None,
) -> Path:
    """Write a video that shows one color after another.

    Args:
        path: of the file.
        scenes: what it shows.
        codec: FFmpeg's encoder.
        pix_fmt: pixel format.
        fps: frames per second.
        size: width and height, in pixels.
        keyframe_every: frames from one keyframe to the next at most.
        rotation: degrees, as a phone writes them into the display matrix.
        file_format: FFmpeg's muxer; by default that of the name.
        metadata: tags of the container.
        container_options: of the muxer.
        codec_options: of the encoder.
        times: of the frames in seconds, for a variable frame rate; by default they are equally spaced.
        with_sound: whether silence is beside the pictures.
        configure: called with the stream before the first frame.
    """
    frames = [color for color, seconds in scenes for _ in range(round(seconds * fps))]
    with av.open(str(path), "w", format=file_format, options=dict(container_options or {})) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=fps, options=dict(codec_options or {}))
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.gop_size = keyframe_every
        sound = container.add_stream("aac", rate=8000) if with_sound else None
        if rotation:
            stream.set_display_rotation(rotation)
        if configure is not None:
            configure(stream)
        base = Fraction(1, 1000) if times is not None else Fraction(1, fps)
        for number, color in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(_picture(color, size), format="rgb24")
            frame.pts = round(times[number] * 1000) if times is not None else number
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _add_silence(container, sound, len(frames) / fps)
    return path


def _picture(color: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A color with a dark left edge, so that a turned frame can be told from an upright one."""
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = ImageColor.getrgb(color)
    picture[:, : size[0] // 8] = 0
    return picture


def _add_silence(container: Any, sound: Any, seconds: float) -> None:
    for start in range(0, int(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, start
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def write_video_apart(path: Path, **options: Any) -> Path:
    """`write_video` in a process of its own.

    For root, SVT-AV1 gives the thread that opens it the highest real-time priority. It keeps it, every thread and
    process that it starts from then on has it, and on two cores nothing else comes to run.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(write_video, path, **options).result()


def write_slides(path: Path, pictures: Sequence[Path], *, seconds: float = 3.0, codec: str = "libvpx-vp9") -> Path:
    """Write a video that shows one picture after another, cropped to 4:3, with a keyframe a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.bit_rate = 10, 800_000
        number = 0
        for picture in pictures:
            with Image.open(picture) as opened:
                image = ImageOps.fit(opened.convert("RGB"), (320, 240))
            for _ in range(round(10 * seconds)):
                frame = av.VideoFrame.from_image(image)
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode(None))
    return path
