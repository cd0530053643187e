"""A folder of training data of the real one's form, with pictures of plain colors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (240, 240, 240)}
GERMAN = {"red": "rot", "green": "grün", "blue": "blau", "white": "weiß"}


def write_data(root: Path, *, train: int = 12, dev: int = 4, said: Sequence[str] = ("photo", "picture")) -> Path:
    """Write pictures and lists of every set: each picture's color goes around."""
    random = np.random.default_rng(0)
    names = list(COLORS)

    def picture(path: Path, number: int) -> str:
        color = names[number % len(names)]
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(np.array(COLORS[color]) + random.normal(0, 15, size=(24, 32, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        return color

    def table(path: str, columns: str, rows: Sequence[str]) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join([columns.replace(" ", "\t"), *rows]) + "\n", encoding="utf-8")

    captions, foreign, coco, labels, named = [], [], [], [], []
    for number in range(train + dev):
        color, split = (
            picture(root / "flickr8k" / "images" / f"{number}.png", number),
            "train" if number < train else "dev",
        )
        captions += [f"{number}.png\t{split}\ta {kind} of {color} ." for kind in said]
        foreign.append(f"{number}.png\t{split}\tde\tein Bild in {GERMAN[color]}.")
    for number in range(8):
        color = picture(root / "coco" / "images" / f"{number}.png", number)
        labels.append(f"{number}.png\t{'train' if number < 6 else 'dev'}\t{color};square")
        coco += [f"{number}.png\ten\tA {color} square."] if number % 2 else []
        picture(root / "named" / "images" / f"{number}.png", number)
        named.append(f"{number}.png\t{'train' if number < 6 else 'dev'}\ta {color} thing")
    table("flickr8k/captions.tsv", "image split caption", captions)
    table("flickr8k-languages/captions.tsv", "image split language caption", foreign)
    table("coco/captions.tsv", "image language caption", coco)
    table("coco/labels.tsv", "image split labels", labels)
    table("coco/object-names.tsv", "en ko ja zh de fr es", ["square\t사각형\t四角\t正方形\tQuadrat\tcarré\tcuadrado"])
    table("named/captions.tsv", "image caption", [])
    table("named/labels.tsv", "image split label", named)
    samples = [picture(root / "imagenet-samples" / f"n{number:08d}.png", number) for number in range(len(names))]
    table(
        "imagenet-samples/labels.tsv", "image label", [f"n{row:08d}.png\t{color}" for row, color in enumerate(samples)]
    )
    translations = [f"n{row:08d}.png\tde\t{GERMAN[color]}" for row, color in enumerate(samples)]
    table("imagenet-samples-languages/labels.tsv", "image language label", translations)
    stamps = [picture(root / "tuxpaint-stamps" / "images" / f"{number}.png", number) for number in range(2)]
    table(
        "tuxpaint-stamps/captions.tsv",
        "image caption",
        [f"{row}.png\tA {color} picture." for row, color in enumerate(stamps)],
    )
    return root
