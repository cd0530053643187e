"""How well text is read in pictures, and what it costs.

    python -m tests.benchmarks.text_reading DATA [--receipts N] [--photos N]

DATA is the folder of evaluation photos (CONTRIBUTING.md). Prints recall and precision of the words of scanned receipts,
the lines of photos, most of which have none, and seconds of one core per picture, also without the detector.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from clipsearch.media.ocr import ReadLine, TextReader
from clipsearch.text import search_form

_WORD = re.compile(r"[^\W_]+(?:[.,'/-][^\W_]+)*")


def words(lines: Iterable[str]) -> Counter[str]:
    """The words of lines with two characters and more, in search form."""
    return Counter(word for line in lines for word in _WORD.findall(search_form(line)) if len(word) > 1)


def read_all(reader: TextReader, paths: Sequence[Path], size: tuple[int, int] | None = None) -> list[list[ReadLine]]:
    """The lines of pictures, optionally enlarged; prints seconds of one core."""
    images = [Image.open(path).convert("RGB") for path in paths]
    images = [image if size is None else image.resize(size, Image.Resampling.BICUBIC) for image in images]
    reader.read(images[0])  # loads the models
    started = time.process_time()
    lines = [reader.read(image) for image in images]
    print(f"  {(time.process_time() - started) / len(paths):.3f} s a picture, {sum(map(bool, lines))} with lines")
    return lines


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--receipts", type=int, default=42)
    parser.add_argument("--photos", type=int, default=500)
    options = parser.parse_args()
    reader = TextReader()
    printed: dict[str, list[str]] = {}
    for row in (options.data / "receipts" / "text.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, line = row.split("\t", 1)
        printed.setdefault(name, []).append(line)
    names = sorted(printed)[: options.receipts]
    print("receipts")
    lines = read_all(reader, [options.data / "receipts" / "images" / name for name in names])
    right = found = true = 0
    for name, of_receipt in zip(names, lines, strict=True):
        read, wanted = words(line.text for line in of_receipt), words(printed[name])
        right, found, true = right + (read & wanted).total(), found + read.total(), true + wanted.total()
    print(f"  recall {right / true:.3f}, precision {right / found:.3f}")
    pick, photos = random.Random(1), list[Path]()
    for name in ("flickr8k", "coco"):
        photos += pick.sample(sorted((options.data / name / "images").iterdir()), options.photos // 2)
    print("photos")
    for path, of_photo in zip(photos, read_all(reader, photos), strict=True):
        if of_photo:
            print(f"  {path.name}: {'; '.join(line.text for line in of_photo)}")
    print("photos of 1600 x 1200, with the detector first and without")
    few = photos[: min(30, len(photos))]
    read_all(reader, few, (1600, 1200))
    reader._has_text = lambda *_: True  # type: ignore[method-assign]
    read_all(reader, few, (1600, 1200))


if __name__ == "__main__":
    main()
