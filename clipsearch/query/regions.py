"""Parts of the map of a library, read from text."""

from __future__ import annotations

import re

from clipsearch.query.ast import Condition, Region
from clipsearch.query.values import BadValueError, shown

_SHARE = re.compile(r"[01](?:\.[0-9]{0,6})?|\.[0-9]{1,6}")
_DRAWING = re.compile(r"(?:pca|umap)[0-9]{1,18}")
_MOST_CORNERS = 50
_RECTANGLE = 2


def parse_region(text: str) -> Condition:
    """Two opposite corners of a rectangle, or three or more of a polygon, from 0 to 1 across and up.

    What follows ``@`` says which drawing of the map is meant.

    >>> parse_region("0.1,0.2,0.4,0.5@umap12").value
    Region(corners=((0.1, 0.2), (0.4, 0.5)), drawing='umap12')
    """
    numbers, _, drawing = text.partition("@")
    parts = numbers.split(",")
    for part in parts:
        if not _SHARE.fullmatch(part) or float(part) > 1:
            raise BadValueError(f"{shown(part)} is not from 0 to 1; write X,Y,X,Y as in 0.1,0.2,0.4,0.5")
    if "@" in text and not _DRAWING.fullmatch(drawing):
        raise BadValueError(f"{shown(drawing)} is not the name of a drawing; leave it out for the map as it is")
    if len(parts) % 2 or not 2 * _RECTANGLE <= len(parts) <= 2 * _MOST_CORNERS:
        raise BadValueError(f"{shown(numbers)} is not a region; write X,Y,X,Y as in 0.1,0.2,0.4,0.5")
    values = [float(part) for part in parts]
    return Condition("region", "in", Region(tuple(zip(values[::2], values[1::2], strict=True)), drawing))
