"""Which part of a picture is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from clipsearch.errors import QueryError

_NUMBER = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)(%?)\s*")

ROUNDING = 1e-6
"""Percentages that add up to the whole may miss it by so much."""


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture after EXIF rotation.

    Attributes:
        x: its left edge, from the left.
        y: its upper edge, from above.
        width: above 0.
        height: above 0.
        unit: ``px``, or ``%`` of the picture's width and height.
    """

    x: float
    y: float
    width: float
    height: float
    unit: Literal["px", "%"] = "px"

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0:
            raise QueryError(f"the box {self} begins outside of the picture")
        if not (self.width > 0 and self.height > 0):
            raise QueryError(f"the box {self} is empty: its width and height have to be above 0")

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read ``x,y,width,height``, in pixels or all four in percent.

        Raises:
            QueryError: it is none, or is empty.

        >>> Box.parse("10,20,300,200"), str(Box.parse("25%,0%,50%,12.5%"))
        (Box(x=10.0, y=20.0, width=300.0, height=200.0, unit='px'), '25%,0%,50%,12.5%')
        """
        parts = [_NUMBER.fullmatch(part) for part in text.split(",")]
        numbers = [part for part in parts if part is not None]
        units = {part[2] for part in numbers}
        if len(parts) != 4 or len(numbers) != 4 or len(units) != 1:
            raise QueryError(
                f"{text!r} is not a box; write x,y,width,height in pixels, or all in percent as in 10%,10%,50%,50%"
            )
        x, y, width, height = (float(part[1]) for part in numbers)
        return cls(x, y, width, height, "%" if units == {"%"} else "px")

    def edges(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, upper, right and lower edge in a picture of this size, in pixels.

        Raises:
            QueryError: it reaches outside of the picture.
        """
        across, down = (width / 100, height / 100) if self.unit == "%" else (1.0, 1.0)
        right, lower = (self.x + self.width) * across, (self.y + self.height) * down
        if right > width + ROUNDING * width or lower > height + ROUNDING * height:
            raise QueryError(f"the box {self} reaches outside of the picture, which has {width}×{height} pixels")
        return self.x * across, self.y * down, min(right, width), min(lower, height)

    def __str__(self) -> str:
        """As `parse` reads it."""
        sign = "" if self.unit == "px" else "%"
        return ",".join(f"{value:.9g}{sign}" for value in (self.x, self.y, self.width, self.height))
