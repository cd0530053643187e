"""Segments: what of a content is embedded. The key of an embedding is (content hash, model, kind, position)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SegmentKind(StrEnum):
    """What a segment is of its content."""

    IMAGE = "image"
    """The whole picture; its position is 0."""
    TILE = "tile"
    """A tile of a picture longer than 2:1; its position is its place in `clipsearch.media.tiling.tiles_of`."""
    VIDEO = "video"
    """A whole video, the mean of its frames; its position is 0."""
    FRAME = "frame"
    """A frame of a video; its position is its time from the start, in milliseconds."""


@dataclass(frozen=True)
class Segment:
    """One segment of a content.

    Attributes:
        kind: of what kind it is.
        position: which one of that kind, from 0.
    """

    kind: SegmentKind = SegmentKind.IMAGE
    position: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it stands for its content as a whole: what is shown, tagged, mapped and compared is that one."""
        return self.kind in WHOLE_KINDS


WHOLE_KINDS = (SegmentKind.IMAGE, SegmentKind.VIDEO)
"""The kinds of which each embedded content has exactly one."""

WHOLE_IMAGE = Segment()
WHOLE_VIDEO = Segment(SegmentKind.VIDEO)


def image_segments(count: int) -> tuple[Segment, ...]:
    """The first `count` segments of a picture: its whole, then its tiles."""
    return (WHOLE_IMAGE, *(Segment(SegmentKind.TILE, position) for position in range(count - 1)))[:count]
