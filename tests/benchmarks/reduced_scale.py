"""What decoding JPEGs at a reduced scale changes of their embeddings.

    python -m tests.benchmarks.reduced_scale FOLDER [--model SPEC]

Each photo of the folder is scaled down to a size that the decoder can reduce to just what the model wants, and to ones
in between; written as a JPEG; embedded once decoded in full and once decoded as indexing does. Prints the cosines of
both by how much is left for the exact scaling. Photos too small for a size are left out of it, none is enlarged.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from clipsearch.media.decoding import decode_image, load_image
from clipsearch.media.formats import IMAGE_SUFFIXES
from clipsearch.models.encoder import Encoder
from clipsearch.models.loading import load_encoder

DIVISORS = (8, 4, 2)
MARGINS = (1.02, 1.12, 1.27, 1.45, 1.92)
"""Short side after decoding at reduced scale over what the model takes."""

_QUALITY = 90
_FEWEST = 5


def cosines(encoder: Encoder, photos: list[Image.Image]) -> np.ndarray:
    """Cosine of each photo's two embeddings, float32 [photos]."""
    full, reduced = [], []
    for photo in photos:
        written = io.BytesIO()
        photo.save(written, "JPEG", quality=_QUALITY)
        content = written.getvalue()
        full.append(encoder.transform(decode_image(content).image))
        reduced.append(encoder.transform(decode_image(content, min_side=encoder.transform.min_side).image))
    embeddings = [np.concatenate([encoder.encode_pixels(each[None]) for each in pixels]) for pixels in (full, reduced)]
    return np.asarray((embeddings[0] * embeddings[1]).sum(axis=1))


def _scaled(folder: Path, short: int) -> Iterator[Image.Image]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            image = load_image(path).image
            if min(image.size) >= short:
                factor = short / min(image.size)
                size = (round(image.width * factor), round(image.height * factor))
                yield image.resize(size, Image.Resampling.LANCZOS)


def main() -> None:
    """Print a line for each scale and margin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    for divisor in DIVISORS:
        for margin in MARGINS:
            photos = list(_scaled(options.folder, divisor * round(margin * encoder.transform.min_side)))
            if len(photos) >= _FEWEST:
                found = cosines(encoder, photos)
                cosine = f"mean {found.mean():.4f}, least {found.min():.4f}"
                print(f"1/{divisor}, {margin:.2f}×, {len(photos)} photos: {cosine}")


if __name__ == "__main__":
    main()
