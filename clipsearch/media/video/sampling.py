"""Which frames of a video are embedded: at most one a second, keyframes first, none that looks like the one before.

Between two keyframes that are not far apart nothing is decoded. A longer stretch is decoded, without the frames that
no other frame refers to, and the first frame of each interval is taken. The intervals of a long video grow, so that
`MAX_FRAMES` spread over all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.media.video.container import OpenVideo, keyframe_times, next_after, packets_of

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

INTERVAL_S = 1.0
"""Seconds of which at most one frame is embedded."""

MAX_FRAMES = 3600
"""Frames of one video at most: an hour at one a second; those of longer videos are farther apart."""

_KEYFRAMES_SUFFICE = 2.0
"""Intervals between two keyframes up to which nothing between them is decoded."""

_SIGNATURE = (16, 16)
"""Blocks in which two frames are compared, by their mean colors."""

_SAME_ON_AVERAGE, _SAME_AT_MOST = 2.0, 14.0
"""Differences of blocks, 0 to 255, below which two frames are near-duplicates: on average, and the largest."""

_DULL = 6.0
"""Standard deviation of the blocks below which a frame shows one color, as fades and titles begin."""

_MAX_ERRORS = 100
"""Damaged packets in a row after which the rest of a video is given up."""

_HDR_TRANSFERS = frozenset({16, 18})
"""ITU-T H.273 transfer characteristics of HDR: PQ (SMPTE ST 2084) and HLG (ARIB STD-B67)."""

Signature = NDArray[np.float32]
"""float32 [16, 16, 3]: the mean colors of a frame's blocks, 0 to 255."""


@dataclass(frozen=True)
class Sample:
    """A frame of a video.

    Attributes:
        position: in milliseconds from the start.
        image: mode RGB, upright, in sRGB; its short side as it was asked for.
        signature: of its colors.
    """

    position: int
    image: Image.Image
    signature: Signature

    @property
    def is_dull(self) -> bool:
        """Whether it shows little but one color."""
        return bool(self.signature.std(axis=(0, 1)).max() < _DULL)


def sample(
    video: OpenVideo,
    *,
    size: Callable[[int, int], tuple[int, int]],
    start_ms: int,
    alive: Callable[[], None],
    end_ms: float = math.inf,
) -> Iterator[Sample]:
    """The frames of a video that are to be embedded, in order.

    A video that is damaged somewhere gives the frames that can be decoded.

    Args:
        video: just opened.
        size: returns the size wanted of a frame of a size, in pixels.
        start_ms: the first position that is wanted.
        alive: called now and then while frames are passed over.
        end_ms: the last position that is wanted; the first frame comes wherever it is.
    """
    keyframes = keyframe_times(video, alive)
    duration_s = max(video.duration_s, keyframes[-1] if keyframes else 0.0)
    interval_s = max(INTERVAL_S, duration_s / MAX_FRAMES)
    video.seek(start_ms / 1000)
    last_slot = math.floor((start_ms - 1) / 1000 / interval_s)
    before: Signature | None = None
    for at_s, frame in _frames(video, keyframes, interval_s * _KEYFRAMES_SUFFICE):
        alive()
        position, slot = max(0, round(at_s * 1000)), math.floor(at_s / interval_s + 1e-6)
        if position > end_ms and before is not None:
            return
        if slot <= last_slot or position < start_ms:
            continue
        last_slot = slot
        image = to_image(frame, size(*upright_size(frame, video.pixel_aspect)))
        signature = signature_of(image)
        if before is None or not look_the_same(before, signature):
            yield Sample(position, image, signature)
            before = signature


def frame_at(video: OpenVideo, position: int, *, size: Callable[[int, int], tuple[int, int]]) -> Image.Image | None:
    """The frame at a position in milliseconds, or the last one before the end.

    ``None`` if none can be decoded, or the position is after the end.
    """
    video.seek(position / 1000)
    found: VideoFrame | None = None
    end_ms = round(video.duration_s * 1000)
    for at_s, frame in _frames(video, [], 0.0):
        found, end_ms = frame, max(end_ms, round(at_s * 1000))
        if round(at_s * 1000) >= position:
            break
    if found is None or position > end_ms:
        return None
    return to_image(found, size(*upright_size(found, video.pixel_aspect)))


def _frames(video: OpenVideo, keyframes: list[float], enough_s: float) -> Iterator[tuple[float, VideoFrame]]:
    """Decoded frames and their times in seconds: keyframes only where the next one is at most `enough_s` away.

    Packets between such keyframes are not even parsed. Some frames before a keyframe in order of showing refer to
    frames behind the keyframe before it; they are dropped where those were passed over.
    """
    import av

    context, start = video.stream.codec_context, video.start_s
    only_keyframes, reliable_from, errors = False, -math.inf, 0

    def seconds(stamp: int | None) -> float:
        return float((stamp or 0) * video.time_base) - start

    def decoded(packet: Packet[Any] | None) -> Iterator[tuple[float, VideoFrame]]:
        for frame in context.decode(packet):
            at_s = seconds(frame.pts if frame.pts is not None else frame.dts)
            if at_s >= reliable_from - 1e-6 or frame.key_frame:
                yield at_s, frame

    for packet in packets_of(video):
        if packet.is_keyframe:
            at_s = seconds(packet.pts if packet.pts is not None else packet.dts)
            reliable_from = at_s if only_keyframes else reliable_from
            following = next_after(keyframes, at_s)
            only_keyframes = following is not None and following - at_s <= enough_s + 1e-3
            context.skip_frame = "NONKEY" if only_keyframes else ("NONREF" if enough_s else "DEFAULT")
        elif only_keyframes:
            continue
        try:
            yield from decoded(packet)
            errors = 0
        except av.FFmpegError:
            errors += 1
            if errors > _MAX_ERRORS:
                return
    try:
        yield from decoded(None)
    except av.FFmpegError:
        return


def upright_size(frame: VideoFrame, pixel_aspect: float) -> tuple[int, int]:
    """Width and height of a frame as it is shown: of square pixels, after its rotation."""
    width, height = round(frame.width * max(1.0, pixel_aspect)), round(frame.height / min(1.0, pixel_aspect))
    return (height, width) if frame.rotation % 180 else (width, height)


def to_image(frame: VideoFrame, size: tuple[int, int]) -> Image.Image:
    """A frame as RGB in sRGB, upright, in a size; HDR is mapped to SDR."""
    from av.video.reformatter import Interpolation, VideoReformatter

    rotation = frame.rotation % 360
    width, height = size[::-1] if rotation % 180 else size
    is_much_smaller = frame.width >= 2 * width and frame.height >= 2 * height
    small = VideoReformatter().reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        # the mean over an area takes half as long, and shows the same where much is averaged
        interpolation=Interpolation.AREA if is_much_smaller else Interpolation.BICUBIC,
        threads=1,
        **hdr_mapping(frame),
    )
    image = Image.fromarray(small.to_ndarray())
    return image.rotate(rotation, expand=True) if rotation else image


def hdr_mapping(frame: VideoFrame) -> dict[str, Any]:
    """Arguments of `reformat` that map HDR to SDR; none of a frame that is SDR."""
    from av.video.reformatter import ColorPrimaries, ColorTrc

    if frame.color_trc not in _HDR_TRANSFERS:
        return {}
    return {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}


def signature_of(image: Image.Image) -> Signature:
    """The mean colors of a frame's blocks."""
    small = image.resize(_SIGNATURE, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def look_the_same(one: Signature, other: Signature) -> bool:
    """Whether two frames are near-duplicates: equal on average, and nothing small has appeared or moved."""
    difference = np.abs(one - other)
    return bool(difference.mean() < _SAME_ON_AVERAGE and difference.max() < _SAME_AT_MOST)
