"""Animated GIF and WebP files as videos, read by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import decode_image
from clipsearch.media.parts import MediaHeader, MediaPart, Reading
from clipsearch.media.pixels import to_rgb
from clipsearch.media.video.reading import no_such_frame, parts_of, size_for
from clipsearch.media.video.sampling import INTERVAL_S, MAX_FRAMES, Sample, Signature, look_the_same, signature_of

ANIMATION_SUFFIXES = frozenset({".gif", ".webp"})

_LEAST_MS = 1000
"""An animation that lasts no longer is a picture."""

_DEFAULT_FRAME_MS = 100
"""What programs show a frame for whose duration is 0 or missing."""

_MAX_COUNTED = 100_000
"""Frames whose durations are added up."""


def is_animation(content: bytes) -> bool:
    """Whether a GIF or WebP file shows several frames for more than a second; false for what cannot be read."""
    try:
        with Image.open(io.BytesIO(content), formats=["GIF", "WEBP"]) as opened:
            if getattr(opened, "n_frames", 1) < 2:
                return False
            return any(end_ms > _LEAST_MS for end_ms, _ in _frames(opened))
    except Exception:  # Pillow's plugins raise almost anything on damaged files, and reading it as a picture says why
        return False


def read_animation(reading: Reading) -> Iterator[MediaPart]:
    """The parts of an animation; see `clipsearch.media.readers.MediaReader.parts`."""
    assert reading.content is not None
    with reading.timed("decode"):
        first = decode_image(
            reading.content,
            path=reading.path,
            min_side=reading.transform.min_side,
            min_longest=reading.min_longest,
        )
    with Image.open(io.BytesIO(reading.content), formats=["GIF", "WEBP"]) as opened:
        duration_ms = max(end_ms for end_ms, _ in _frames(opened))
        frames = getattr(opened, "n_frames", 1)
        header = MediaHeader(
            first.image,
            first.format,
            first.width,
            first.height,
            first.metadata,
            duration_ms=duration_ms,
            frame_rate=round(1000 * frames / duration_ms, 3),
            codec=first.format.lower(),
        )
        yield from parts_of(header, _sampled(opened, duration_ms, reading), reading)


def _sampled(opened: Image.Image, duration_ms: int, reading: Reading) -> Iterator[Sample]:
    interval_ms = max(1000 * INTERVAL_S, duration_ms / MAX_FRAMES)
    size = size_for(reading.transform.min_side, reading.min_longest)
    last_slot, before, start_ms = -1, None, 0
    for end_ms, number in _frames(opened):
        slot = int(start_ms // interval_ms)
        if slot > last_slot and start_ms >= reading.start_ms:
            opened.seek(number)
            image = to_rgb(opened.convert("RGBA"))
            image = image.resize(size(*image.size), Image.Resampling.BICUBIC)
            signature: Signature = signature_of(image)
            last_slot = slot
            if before is None or not look_the_same(before, signature):
                yield Sample(start_ms, image, signature)
                before = signature
        start_ms = end_ms


def animation_frame(
    content: bytes, position: int, *, path: Path | None, min_side: int | None, min_longest: int | None
) -> Image.Image:
    """The frame of an animation that is shown at a position in milliseconds; see `load_frame`.

    Raises:
        ImageReadError: it cannot be read, or has no such frame.
    """
    end_ms = 0
    try:
        with Image.open(io.BytesIO(content), formats=["GIF", "WEBP"]) as opened:
            for end_ms, number in _frames(opened):
                if position < end_ms:
                    opened.seek(number)
                    image = to_rgb(opened.convert("RGBA"))
                    return image.resize(size_for(min_side, min_longest)(*image.size), Image.Resampling.BICUBIC)
            if position == end_ms:
                return animation_frame(content, end_ms - 1, path=path, min_side=min_side, min_longest=min_longest)
    except (OSError, ValueError, SyntaxError) as error:  # of Pillow's plugins
        raise ImageReadError(path, "damaged, or not an animation that can be read") from error
    raise no_such_frame(path, position, end_ms / 1000)


def _frames(opened: Image.Image) -> Iterator[tuple[int, int]]:
    """When each frame ends, in milliseconds, and its number."""
    end_ms = 0
    for number in islice(range(getattr(opened, "n_frames", 1)), _MAX_COUNTED):
        opened.seek(number)
        opened.load()
        end_ms += int(opened.info.get("duration") or 0) or _DEFAULT_FRAME_MS
        yield end_ms, number
