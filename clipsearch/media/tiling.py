"""The tiles that a long picture is embedded in besides its whole, which an image tower would crop or squash."""

from __future__ import annotations

import math

from clipsearch.media.box import Box

LONG = 2
"""Pictures whose long side is more than this many times the short one are embedded in tiles, too."""

MAX_TILES = 8
"""Tiles of the longest pictures; those of a picture up to 8:1 are squares."""


def tiles_of(width: int, height: int) -> tuple[Box, ...]:
    """Where the tiles of a picture lie: side by side along its long side, overlapping, all of it covered.

    The catalog holds the position of a tile in this list, not its place: its result for a size must never change.

    Args:
        width: in pixels, after EXIF rotation.
        height: in pixels, after EXIF rotation.

    Returns:
        Boxes from the left or the top; none unless the picture is longer than `LONG` to 1.
    """
    short, long = sorted((width, height))
    if short < 1 or long <= LONG * short:
        return ()
    count = min(MAX_TILES, math.ceil(long / short))
    length = max(short, math.ceil(long / count))
    starts = (round(index * (long - length) / (count - 1)) for index in range(count))
    if width > height:
        return tuple(Box(start, 0, length, height) for start in starts)
    return tuple(Box(0, start, width, length) for start in starts)
