"""What readers make of a file: a header, and what is to be embedded, part after part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.segments import Segment
from clipsearch.media.transform import ImageTransform

Timed: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Measures how long a stage takes, by its name."""


@dataclass(frozen=True)
class MediaHeader:
    """What is known of a content besides what is embedded.

    Attributes:
        cover: what previews and fingerprints are made from, mode RGB, upright.
        format: short name of the format, for example ``JPEG``.
        width: of the full picture after rotation, in pixels.
        height: in pixels, after rotation.
        metadata: what the file says of itself.
        duration_ms: of a video; ``None`` of a picture.
        frame_rate: of a video, in frames per second, if known.
        codec: short name of a video's codec, for example ``h264``.
    """

    cover: Image.Image
    format: str
    width: int
    height: int
    metadata: ImageMetadata
    duration_ms: int | None = None
    frame_rate: float | None = None
    codec: str | None = None


@dataclass(frozen=True)
class MediaPart:
    """A part of a file that fits into memory: all of a picture, some seconds of a video.

    Attributes:
        header: the same for all parts of a file.
        segments: what each of `pixels` is of.
        pixels: uint8 [segments, height, width, 3], as the encoder takes them.
        is_last: no more parts follow.
    """

    header: MediaHeader
    segments: tuple[Segment, ...]
    pixels: NDArray[np.uint8]
    is_last: bool = True


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        path: of the file; the name distinguishes some formats.
        content: the whole file; ``None`` for a reader that streams.
        transform: brings pictures to the encoder's input size.
        min_longest: what the long side of the cover will be scaled down to; ``None`` for any size.
        start_ms: the first position that is wanted of a video; the frames before it are embedded already.
        timed: measures the stages ``decode`` and ``scale``.
        alive: called now and then by a reader that takes long between two parts.
    """

    path: Path
    content: bytes | None
    transform: ImageTransform
    min_longest: int | None
    start_ms: int
    timed: Timed
    alive: Callable[[], None]
