"""A video as parts to embed: frames by their times, and a header with its cover and what its container says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.errors import ImageReadError
from clipsearch.media.parts import MediaHeader, MediaPart, Reading
from clipsearch.media.segments import Segment, SegmentKind
from clipsearch.media.transform import ImageTransform
from clipsearch.media.video.container import OpenVideo, as_read_errors, open_video
from clipsearch.media.video.metadata import read_video_metadata
from clipsearch.media.video.sampling import Sample, frame_at, sample
from clipsearch.text import clock_time

_FRAMES = 8
"""Frames of a part: as many pictures as the longest panorama has tiles."""

_COVER_MS = 20_000
"""Of a video's beginning, from which its cover is chosen."""

_ALIVE_S = 2.0
"""Seconds between two signs of life."""


def read_video(reading: Reading) -> Iterator[MediaPart]:
    """The parts of a video from a position on; see `clipsearch.media.readers.MediaReader.parts`.

    Raises:
        ImageReadError: no frame of it can be decoded.
    """
    size = size_for(reading.transform.min_side, reading.min_longest)
    alive = _now_and_then(reading.alive)
    header = None
    if reading.start_ms:
        with reading.timed("decode"), open_video(reading.path) as video, as_read_errors(reading.path):
            header = _header(video, _beginning(video, size, reading.path))
    with open_video(reading.path) as video, as_read_errors(reading.path):
        samples = sample(video, size=size, start_ms=reading.start_ms, alive=alive)
        first = _block(samples, reading)
        if header is None:
            header = _header(video, _some(first, reading.path))
        yield from parts_of(header, chain(first, samples), reading)


def frames_of_video(path: Path, transform: ImageTransform) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video that indexing would embed, uint8 [frames, height, width, 3] at a time, at least one.

    Raises:
        ImageReadError: no frame of it can be decoded.
    """
    reading = Reading(path, None, transform, None, 0, lambda _: nullcontext(), lambda: None)
    yield from (part.pixels for part in read_video(reading) if len(part.pixels))


def parts_of(header: MediaHeader, samples: Iterator[Sample], reading: Reading) -> Iterator[MediaPart]:
    """Samples in parts of a few frames; at least one part."""
    height, width = reading.transform.spec.size
    following = _block(samples, reading)
    while True:
        block, following = following, []
        if len(block) == _FRAMES:
            following = _block(samples, reading)
        with reading.timed("scale"):
            pixels = np.empty((len(block), height, width, 3), np.uint8)
            for row, item in enumerate(block):
                pixels[row] = reading.transform(item.image)
        segments = tuple(Segment(SegmentKind.FRAME, item.position) for item in block)
        yield MediaPart(header, segments, pixels, is_last=not following)
        if not following:
            return


def _block(samples: Iterator[Sample], reading: Reading) -> list[Sample]:
    with reading.timed("decode"):
        return list(islice(samples, _FRAMES))


def _beginning(video: OpenVideo, size: Callable[[int, int], tuple[int, int]], path: Path) -> list[Sample]:
    """The frames that the cover is chosen from."""
    samples = sample(video, size=size, start_ms=0, alive=lambda: None, end_ms=_COVER_MS)
    return _some(list(islice(samples, _FRAMES)), path)


def _some(samples: list[Sample], path: Path) -> list[Sample]:
    if not samples:
        raise ImageReadError(path, "no frame of it can be decoded")
    return samples


def _cover(beginning: list[Sample]) -> Image.Image:
    """The first frame of the beginning that shows more than one color."""
    early = (item for item in beginning if item.position <= _COVER_MS)
    return next((item.image for item in early if not item.is_dull), beginning[0].image)


def _header(video: OpenVideo, start: list[Sample]) -> MediaHeader:
    cover = _cover(start)
    stream, container = video.stream, video.container
    width, height = stream.width, stream.height
    if (cover.width > cover.height) != (width > height):
        width, height = height, width
    rate = stream.average_rate or stream.guessed_rate
    return MediaHeader(
        cover,
        _FORMAT_NAMES.get(container.format.name.split(",")[0], container.format.name.split(",")[0].upper())[:16],
        width,
        height,
        read_video_metadata(container.metadata, stream.metadata),
        duration_ms=max(1, round(video.duration_s * 1000), start[-1].position),
        frame_rate=round(float(rate), 3) if rate else None,
        codec=stream.codec_context.name[:16],
    )


_FORMAT_NAMES = {"mov": "MP4", "matroska": "MKV", "mpegts": "MPEG-TS"}
"""Names of containers by FFmpeg's; it reads MP4, MOV and 3GP alike."""


def load_frame(
    path: Path, position: int | None, *, min_side: int | None = None, min_longest: int | None = None
) -> Image.Image:
    """Decode a frame of a video.

    Args:
        path: of the video.
        position: from the start, in milliseconds; ``None`` for the cover.
        min_side: what the short side will be scaled down to.
        min_longest: the same for the long side. With neither, at full size.

    Returns:
        RGB, upright.

    Raises:
        ImageReadError: it cannot be read, or has no such frame.
    """
    size = size_for(min_side, min_longest)
    with open_video(path) as video, as_read_errors(path):
        if position is None:
            return _cover(_beginning(video, size, path))
        found = frame_at(video, position, size=size)
        if found is None:
            raise no_such_frame(path, position, video.duration_s)
    return found


def no_such_frame(path: Path | None, position: int, duration_s: float) -> ImageReadError:
    """The error of a position in milliseconds that a video has no frame at."""
    length = f"; it is {clock_time(duration_s)} long" * bool(duration_s)
    return ImageReadError(path, f"it has no frame at {clock_time(position / 1000)}{length}")


def size_for(min_side: int | None, min_longest: int | None) -> Callable[[int, int], tuple[int, int]]:
    """What frames are scaled to: as small as what is made of them allows, and never enlarged."""

    def size(width: int, height: int) -> tuple[int, int]:
        short, long = sorted((width, height))
        wanted = max((min_side or 0) / short, (min_longest or 0) / long)
        if not wanted or wanted >= 1:
            return width, height
        small, large = round(short * wanted), int(long * wanted)
        if min_side and small == min_side:
            large = int(min_side * long / short)  # as `ImageTransform` has it, which then has nothing left to scale
        return (small, large) if width <= height else (large, small)

    return size


def _now_and_then(call: Callable[[], None]) -> Callable[[], None]:
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last >= _ALIVE_S:
            last = time.monotonic()
            call()

    return alive
