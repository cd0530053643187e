"""How fast a folder in which nothing has changed is compared with the catalog.

    python tests/benchmarks/rescan.py [--files 100000]

Makes tiny files (copies of one picture in folders of 500), indexes them once, and then indexes them again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from clipsearch.library import Library
from indexer.plan import IndexOptions, locate, plan_folder
from indexer.scan import scan

IN_A_FOLDER = 500
ROUNDS = 5


class NoEncoder:
    """Embeds one picture; what is measured never gets to a model."""

    spec, fingerprint, dim, device, precision = "none", "0" * 16, 4, "cpu", "fp32"

    def __init__(self) -> None:
        from clipsearch.encoders.manifest import ImageSpec
        from clipsearch.images import ImageTransform

        self.transform = ImageTransform(ImageSpec(size=(8, 8), resize_mode="squash"))

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return np.tile(np.array([[1, 0, 0, 0]], dtype=np.float32), (len(pixels), 1))


def make_files(folder: Path, count: int) -> None:
    Image.new("RGB", (4, 4), "red").save(folder / "0.png")
    content = (folder / "0.png").read_bytes()
    (folder / "0.png").unlink()
    for number in range(count):
        path = folder / f"{number // IN_A_FOLDER:04}" / f"IMG_{number:06}.png"
        if number % IN_A_FOLDER == 0:
            path.parent.mkdir()
        path.write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory() as base:
        photos = Path(base) / "photos"
        photos.mkdir()
        make_files(photos, count)
        library = Library.open(Path(base) / "library", create=True, encoder=NoEncoder())  # type: ignore[arg-type]
        started = time.perf_counter()
        library.index(photos)
        print(f"first run over {count:,} tiny files: {count / (time.perf_counter() - started):,.0f} files/s")
        bare, planned, whole = [], [], []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            assert sum(1 for _ in scan(photos, on_error=lambda *_: None)) == count
            bare.append(count / (time.perf_counter() - started))
            started = time.perf_counter()
            place = locate(library._store, photos)
            plan = plan_folder(library._store, place, model_id=1, options=IndexOptions(), scanned=lambda: None)
            assert plan.unchanged == count
            planned.append(count / (time.perf_counter() - started))
            started = time.perf_counter()
            assert library.index(photos).unchanged == count
            whole.append(count / (time.perf_counter() - started))
        library.close()
    for name, rates in (("walking alone", bare), ("compared with the catalog", planned), ("whole run", whole)):
        print(f"{name}: median {statistics.median(rates):,.0f} files/s (best {max(rates):,.0f}) of {ROUNDS} rounds")


if __name__ == "__main__":
    main()
