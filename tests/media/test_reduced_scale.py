"""Decoding JPEGs at a reduced scale: the embeddings of real photographs stay what they are."""

from __future__ import annotations

import pytest
from PIL import Image

from clipsearch.demo import find_photographs
from clipsearch.media.decoding import load_image
from clipsearch.models.loading import load_encoder
from tests.benchmarks.reduced_scale import cosines


@pytest.mark.long
@pytest.mark.parametrize("divisor", [2, 4])
def test_embeddings_are_those_of_decoding_in_full(divisor: int) -> None:
    encoder = load_encoder("mini")
    short = divisor * (encoder.transform.min_side + 4)
    photos = []
    for path in find_photographs():
        image = load_image(path).image
        if min(image.size) >= 400:
            factor = short / min(image.size)
            size = (round(image.width * factor), round(image.height * factor))
            photos.append(image.resize(size, Image.Resampling.LANCZOS))
    found = cosines(encoder, photos)
    assert len(found) >= 8
    assert found.mean() >= 0.995
