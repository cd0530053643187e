"""Deterministic images and texts for comparing an exported model with its source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

_SIZES = ((224, 224), (640, 480), (480, 640), (97, 61), (333, 1000), (1024, 256))
"""Width and height in pixels: square, landscape, portrait, tiny and panoramic."""

_SUBJECTS = (
    "a cat", "two dogs playing in the snow", "a cup of coffee on a wooden table", "the Eiffel Tower at night",
    "my grandmother's birthday cake", "a handwritten receipt", "red car", "beach", "a screenshot of a terminal",
    "children running through a sprinkler", "an astronaut riding a horse", "snow-capped mountains",
    "a plate of sushi", "a man in a suit", "black and white portrait", "fireworks", "a map of the city",
    "a close-up of a flower", "an old stone bridge over a river", "passport",
)  # fmt: skip

_TEMPLATES = ("{}", "a photo of {}.", "{} in the rain", "A BLURRY PHOTO OF {}!")

_ODD_TEXTS = (
    "", " ", "?", "1234567890", "it's what they've said we'll do", "café crème, naïve façade", "CAFE\u0301",
    "schÃ¶nes Haus", "Tom &amp; Jerry", "zwei Hunde im Schnee", "ein Glas Bier 🍺", "👩‍👩‍👧‍👦 🏳️‍🌈",
    "猫がソファで寝ている", "一只猫坐在窗台上", "고양이", "кошка на диване", "قطة على الأريكة", "חתול על הספה", "बिल्ली",
    "แมวบนโซฟา",
    "tab\tand\nnewline", "<start_of_text> literal <end_of_text>", "snake_case_name and CamelCase",
    "https://example.org/a?b=c&d=e", "½ ² ٣ Ⅳ", "x" * 400, "a very long query " * 40, "İstanbul ǅ ß ﬁ",
)  # fmt: skip


def check_texts() -> list[str]:
    """About a hundred texts: typical queries, other scripts, and edge cases of tokenizers."""
    return [template.format(subject) for subject in _SUBJECTS for template in _TEMPLATES] + list(_ODD_TEXTS)


def check_images() -> list[Image.Image]:
    """Thirty-six RGB images: noise at two scales, gradients, shapes, stripes and flat color."""
    rng = np.random.default_rng(20240229)
    images = []
    for size in _SIZES:
        images += [
            _noise(rng, size, cells=size[0]),
            _noise(rng, size, cells=6),
            _gradient(rng, size),
            _shapes(rng, size),
            _stripes(rng, size),
            Image.new("RGB", size, _color(rng)),
        ]
    return images


def _noise(rng: np.random.Generator, size: tuple[int, int], *, cells: int) -> Image.Image:
    pixels = rng.integers(0, 256, (max(1, cells * size[1] // size[0]), cells, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)


def _shapes(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, _color(rng))
    draw = ImageDraw.Draw(image)
    for index in range(12):
        x0, x1 = sorted(int(value) for value in rng.integers(0, size[0], 2))
        y0, y1 = sorted(int(value) for value in rng.integers(0, size[1], 2))
        (draw.ellipse if index % 2 else draw.rectangle)((x0, y0, x1, y1), fill=_color(rng))
    return image


def _stripes(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    wave = np.sin(x / rng.uniform(2, 30) + y / rng.uniform(2, 30))  # [h, w]
    colors: Sequence[float] = rng.uniform(0, 127, 3).tolist()
    return Image.fromarray(np.stack([127 + wave * value for value in colors], axis=-1).astype(np.uint8))


def _color(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue
