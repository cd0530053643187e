"""Accuracy of the detection of re-saved, cropped, rotated and edited photos, with the bundled model.

    python tests/benchmarks/duplicates.py [--images DIR] [--photos 100] [--pool 1000] [--show]

For each kind of variant: a library of the folder's photos and of that variant of some of them, all photos but the
variants' own being look-alikes. Every pair of files that shares a group counts: right if both come from one photo.
Without --images, the photographs that come with scikit-image and scikit-learn, which are too few to say much.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.media.decoding import load_image
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.media.perceptual_hash import fingerprint
from clipsearch.models.loading import load_encoder
from clipsearch.retrieval.duplicates import LibraryContent, LibraryFile, find_duplicates
from tests.photo_variants import VARIANTS

BATCH = 32


@dataclass
class Pictures:
    """Pictures as the engine takes them; `sources` names the photo that each is of."""

    contents: list[LibraryContent] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    embeddings: list[NDArray[np.float16]] = field(default_factory=list)


@dataclass
class Tally:
    right: int = 0
    wrong: int = 0
    sought: int = 0

    def add(self, other: Tally) -> None:
        self.right += other.right
        self.wrong += other.wrong
        self.sought += other.sought

    def __str__(self) -> str:
        found = self.right + self.wrong
        precision = self.right / found if found else 1.0
        return f"{self.right / self.sought:9.4f}  {precision:9.4f}  {self.sought:7,}  {self.wrong:5,}"


def photo_paths(folder: Path | None) -> list[Path]:
    if folder is None:
        import skimage.data
        import sklearn.datasets

        folders = [Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images"]
        names = {"astronaut", "coffee", "chelsea", "rocket", "motorcycle_left", "china", "flower", "hubble_deep_field"}
        return sorted(path for each in folders for path in each.iterdir() if path.stem in names)
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def take(pictures: Iterator[tuple[int, str, Image.Image]], encoder: object) -> Pictures:
    """Fingerprint and embed pictures, each with its photo's number and a name."""
    taken, pixels = Pictures(), []

    def embed() -> None:
        if pixels:
            taken.embeddings.append(encoder.encode_pixels(np.stack(pixels)).astype(np.float16))  # type: ignore[attr-defined]
            pixels.clear()

    for source, name, picture in pictures:
        file = LibraryFile(Path(name), 1)
        number = f"{len(taken.contents):x} {name}"
        taken.contents.append(LibraryContent(number, *picture.size, "?", (file,), fingerprint(picture)))
        taken.sources.append(source)
        pixels.append(encoder.transform(picture))  # type: ignore[attr-defined]
        if len(pixels) == BATCH:
            embed()
    embed()
    return taken


def measure(pool: Pictures, variants: Pictures) -> tuple[Tally, set[tuple[str, str]]]:
    """Group the pool and its variants: correct pairs, and pairs of different photos."""
    contents = pool.contents + variants.contents
    source_of = {
        item.content_hash: source for item, source in zip(contents, [*pool.sources, *variants.sources], strict=True)
    }
    tally, mixed = Tally(sought=len(variants.contents)), set()
    for group in find_duplicates(contents, np.concatenate(pool.embeddings + variants.embeddings)):
        for one, other in combinations(group.files, 2):
            if source_of[one.content_hash] == source_of[other.content_hash]:
                tally.right += 1
            else:
                tally.wrong += 1
                mixed.add((str(one.path), str(other.path)))
    return tally, mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of photos, no two of them alike")
    parser.add_argument("--names", type=Path, help="a file that names those of them to use, one a line")
    parser.add_argument("--photos", type=int, default=100, help="of how many photos variants are made")
    parser.add_argument("--pool", type=int, default=1000, help="how many photos there are in all")
    parser.add_argument("--show", action="store_true", help="name the pairs of different photos that share a group")
    options = parser.parse_args()
    paths = photo_paths(options.images)
    if options.names:
        names = set(options.names.read_text(encoding="utf-8").split())
        paths = [path for path in paths if path.name in names]
    Random(0).shuffle(paths)
    paths = paths[: options.pool]
    photos = [load_image(path).image for path in paths]
    encoder = load_encoder("mini")
    started = time.perf_counter()
    pool = take(((number, path.name, photos[number]) for number, path in enumerate(paths)), encoder)
    print(f"{'kind':<32}   recall  precision   sought  wrong")
    total, mixed = Tally(), set()
    for family, kinds in VARIANTS.items():
        for name, make in kinds.items():
            random = Random(name)
            made = (
                (number, f"{path.name} {name}", make(photos[number], random))
                for number, path in enumerate(paths[: options.photos])
            )
            tally, wrong = measure(pool, take(made, encoder))
            total.add(tally)
            mixed |= wrong
            print(f"{family + ' ' + name:<32}{tally}", flush=True)
    print(f"{'all':<32}{total}")
    taken = time.perf_counter() - started
    print(f"{len(paths):,} photos, variants of {min(len(paths), options.photos):,} of them; {taken:.0f} s")
    for one, other in sorted(mixed) if options.show else []:
        print(f"different photos: {one} | {other}")


if __name__ == "__main__":
    main()
