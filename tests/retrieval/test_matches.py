"""Matches are assessed in a search: for words, not for pictures or filters alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import QueryError
from clipsearch.library import Library
from tests.conftest import ColourEncoder, Notes, save_photo


def test_words_are_assessed_and_pictures_and_filters_are_not(library: Library, photos: Path) -> None:
    library.index(photos)
    for result in library.search("red", k=6):
        assert result.match in ("strong", "possible", "none")
        assert result.probability is not None and 0 <= result.probability <= 1
    for line in (f"~{photos}/red.png", f"red ~{photos}/blue.png", "ext:png"):
        assert {result.match for result in library.search(line, k=6)} == {None}
    assert {result.match for result in library.similar(photos / "red.png")} == {None}


def test_the_probability_falls_with_the_score(library: Library, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        save_photo(tmp_path / "many" / f"{number}.png", tuple(rng.integers(256, size=3).tolist()))
    library.index(tmp_path / "many")
    results = library.search("red", k=60)
    assert results[0].probability is not None and results[-1].probability is not None
    assert results[0].probability > results[-1].probability


def test_weak_matches_are_left_out_exactly(library: Library, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(80):
        save_photo(tmp_path / "many" / f"{number}.png", tuple(rng.integers(256, size=3).tolist()))
    library.index(tmp_path / "many")
    every = library.search("red", k=80)
    for least, passing in (("strong", {"strong"}), ("possible", {"strong", "possible"})):
        wanted = [result.path for result in every if result.match in passing]
        found = library.search("red", k=80, min_match=least)  # type: ignore[arg-type]
        assert [result.path for result in found] == wanted
        paged = library.search("red", k=3, offset=2, min_match=least)  # type: ignore[arg-type]
        assert [result.path for result in paged] == wanted[2:5]


def test_a_minimum_needs_words(library: Library, photos: Path) -> None:
    library.index(photos)
    with pytest.raises(QueryError, match="only with text queries"):
        library.search(f"~{photos}/red.png", min_match="strong")
    with pytest.raises(QueryError, match="a match can be"):
        library.search("red", min_match="good")  # type: ignore[arg-type]


def test_a_query_longer_than_the_model_reads_is_split_with_a_notice(
    library: Library, photos: Path, encoder: ColourEncoder, notes: Notes
) -> None:
    encoder.context_length = 8  # type: ignore[attr-defined]
    encoder.count_tokens = lambda text: len(text.split()) + 2  # type: ignore[attr-defined]
    library.index(photos)
    notes.clear()
    library.search("a b c d e f g h i j k red", k=1)
    assert len(notes) == 1 and "into 2 parts" in notes[0]
    notes.clear()
    library.search("short red", k=1)
    assert notes == []
