r"""Pictures as escape sequences: the kitty graphics protocol, iTerm2's inline images, and sixel.

Source: https://sw.kovidgoyal.net/kitty/graphics-protocol/; https://iterm2.com/documentation-images.html; DEC
VT3xx Programmer Reference, volume 2 (EK-VT3XX-GP), chapter 14.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

Protocol: TypeAlias = Literal["kitty", "iterm2", "sixel"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

_KITTY_CHUNK = 4096
"""The maximum of base64 characters in one escape sequence; a multiple of 4."""

_BAND = 6
"""Pixel rows of one sixel."""

_COLORS = 64
"""Colors of a sixel picture; 255 would add half to its size without looking better in a preview."""

_EMPTY = "?"
"""The sixel without pixels; the code of another sixel is higher by its bits."""

_RUN = re.compile(r"(.)\1{3,}")


@dataclass(frozen=True)
class Box:
    """The space for a picture: its size in cells, and the size of a cell in pixels."""

    columns: int
    rows: int
    cell_width: int
    cell_height: int

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height."""
        return self.columns * self.cell_width, self.rows * self.cell_height


def draw(protocol: Protocol, jpeg: bytes, box: Box) -> str:
    """The escape sequences that draw a picture at the cursor, scaled to fit a box.

    Args:
        protocol: the protocol of the terminal.
        jpeg: the picture.
        box: the space.

    Returns:
        ASCII text; empty if the picture is damaged.
    """
    if protocol == "iterm2":
        return iterm2_image(jpeg, box)
    from PIL import Image

    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as opened:
            image = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return ""
    return kitty_image(image, box) if protocol == "kitty" else sixel_image(_fitted(image, box))


def kitty_image(image: Image.Image, box: Box) -> str:
    """A picture in the kitty graphics protocol: a PNG in base64, in chunks; the cursor does not move."""
    fitted = _fitted(image, box)
    written = io.BytesIO()
    fitted.save(written, "PNG")
    data = base64.standard_b64encode(written.getvalue()).decode("ascii")
    chunks = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    # set only the side that fills the box: the terminal keeps the aspect ratio
    wide = fitted.width * box.pixels[1] > fitted.height * box.pixels[0]
    size = f"c={box.columns}" if wide else f"r={box.rows}"
    parts = []
    for number, chunk in enumerate(chunks):
        more = int(number < len(chunks) - 1)
        keys = f"a=T,f=100,q=2,C=1,{size},m={more}" if number == 0 else f"m={more}"
        parts.append(f"\x1b_G{keys};{chunk}\x1b\\")
    return "".join(parts)


def iterm2_image(jpeg: bytes, box: Box) -> str:
    """A picture for iTerm2 and WezTerm: the file in base64, scaled by the terminal."""
    keys = f"inline=1;size={len(jpeg)};width={box.columns};height={box.rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={keys}:{base64.standard_b64encode(jpeg).decode('ascii')}\x07"


def sixel_image(image: Image.Image) -> str:
    """An RGB picture as sixels, unscaled, in at most 64 colors."""
    import numpy as np

    reduced = image.quantize(_COLORS)
    palette = (reduced.getpalette() or [])[: 3 * _COLORS]
    pixels = np.asarray(reduced)
    registers = [
        f"#{number};2;{';'.join(str(round(value * 100 / 255)) for value in palette[3 * number : 3 * number + 3])}"
        for number in np.unique(pixels).tolist()
    ]
    bands = [_sixel_band(pixels[top : top + _BAND]) for top in range(0, len(pixels), _BAND)]
    size = f'"1;1;{image.width};{image.height}'
    return f"\x1bP0;1q{size}{''.join(registers)}{'-'.join(bands)}\x1b\\"


def _sixel_band(pixels: NDArray[np.uint8]) -> str:
    """Up to six rows, uint8 [rows, width]: for each color, a bit mask per column of the rows that have it."""
    import numpy as np

    colors = np.unique(pixels)
    weights = (1 << np.arange(len(pixels), dtype=np.uint8))[:, None]  # [rows, 1]
    bits = ((pixels == colors[:, None, None]) * weights).sum(axis=1, dtype=np.uint8)  # [colors, width]
    lines = [row.tobytes().decode("ascii").rstrip(_EMPTY) for row in bits + ord(_EMPTY)]
    return "$".join(f"#{color}{_run_lengths(line)}" for color, line in zip(colors.tolist(), lines, strict=True))


def _run_lengths(line: str) -> str:
    """Run-length encode runs of more than three equal sixels."""
    return _RUN.sub(lambda run: f"!{len(run[0])}{run[1]}", line)


def _fitted(image: Image.Image, box: Box) -> Image.Image:
    """The picture scaled down to fit the box."""
    width, height = box.pixels
    scale = min(1.0, width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size)
