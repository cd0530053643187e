"""What a fingerprint keeps of a picture, and what it does not mind."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from clipsearch.media.perceptual_hash import (
    FINGERPRINT_BYTES,
    TURNS,
    USUAL_TURNS,
    chroma_of,
    coarse_vectors,
    fingerprint,
    luma_of,
    stack_fingerprints,
    turned,
)
from tests.photo_variants import VARIANTS


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((480, 360))


@settings(deadline=None, max_examples=30)
@given(st.tuples(st.integers(1, 400), st.integers(1, 400)), st.tuples(*[st.integers(0, 255)] * 3))
def test_every_size_and_colour_has_a_fingerprint(size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    rows = stack_fingerprints([fingerprint(Image.new("RGB", size, colour))])
    assert rows.shape == (1, FINGERPRINT_BYTES)
    assert luma_of(rows).std() == 0
    assert not coarse_vectors(rows).any()  # a plain picture is like no other


def test_a_strip_has_a_fingerprint() -> None:
    assert len(fingerprint(Image.new("RGB", (1, 20_000)))) == FINGERPRINT_BYTES


def test_it_holds_luminance_and_colour() -> None:
    rows = stack_fingerprints([fingerprint(Image.new("RGB", (50, 40), colour)) for colour in ("red", "blue", "grey")])
    assert luma_of(rows)[:, 5, 5].tolist() == [76, 29, 128]
    expected = np.array([[85, 255], [255, 107], [128, 128]])
    np.testing.assert_allclose(chroma_of(rows)[:, :, 2, 2], expected, atol=1)  # JPEG libraries round their own way


@pytest.mark.parametrize("family", ["resized", "re-encoded"])
def test_saving_again_changes_it_by_a_few_levels(astronaut: Image.Image, family: str) -> None:
    own = luma_of(stack_fingerprints([fingerprint(astronaut)]))
    for name, variant in VARIANTS[family].items():
        other = luma_of(stack_fingerprints([fingerprint(variant(astronaut, Random(1)))]))
        assert np.abs(own - other).mean() < 3, name


def test_the_preview_gives_nearly_the_same_one(astronaut: Image.Image) -> None:
    preview = astronaut.resize((384, 288), Image.Resampling.BICUBIC, reducing_gap=3.0)
    rows = stack_fingerprints([fingerprint(astronaut), fingerprint(preview)]).astype(int)
    assert np.abs(rows[0] - rows[1]).mean() < 2


@pytest.mark.parametrize("turn", range(TURNS))
def test_turning_the_picture_turns_its_fingerprint(astronaut: Image.Image, turn: int) -> None:
    mirrored = astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if turn >= 4 else astronaut
    picture = mirrored.rotate(90 * (turn % 4), expand=True)
    rows = stack_fingerprints([fingerprint(astronaut), fingerprint(picture)])
    first, second = luma_of(rows)
    assert np.abs(turned(first, turn) - second).mean() < 2


@pytest.mark.parametrize("turn", [0, 1, 2, 3, 4])
def test_the_usual_turns_reach_quarter_turns_both_ways(turn: int) -> None:
    picture = np.arange(9, dtype=np.float32).reshape(3, 3)
    other = turned(picture, turn)
    there = any((turned(picture, usual) == other).all() for usual in USUAL_TURNS)
    back = any((turned(other, usual) == picture).all() for usual in USUAL_TURNS)
    assert there or back


def test_coarse_vectors_are_correlations(astronaut: Image.Image) -> None:
    grey = astronaut.point(lambda value: value * 0.6 + 40)
    vectors = coarse_vectors(stack_fingerprints([fingerprint(astronaut), fingerprint(grey)]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.999


def test_a_cut_fingerprint_is_refused() -> None:
    with pytest.raises(ValueError, match="912 bytes"):
        stack_fingerprints([b"short"])
