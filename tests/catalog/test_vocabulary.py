"""The bundled vocabulary is consistent, and names of tags are folded."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.catalog.vocabulary import (
    Folding,
    Word,
    canonical,
    load_vocabulary,
    more_general,
    parse_vocabulary,
    singulars,
    vocabulary_text,
)
from clipsearch.errors import ConfigError


def test_names_synonyms_and_plurals_are_unique() -> None:
    words = load_vocabulary()
    assert 2000 <= len(words) <= 2500
    owner: dict[str, str] = {}
    for word in words:
        for name in (word.name, *word.synonyms):
            assert owner.setdefault(name, word.name) == word.name, f"{name!r} is in {owner[name]!r} and {word.name!r}"
    for name, own in owner.items():
        others = {owner[form] for form in singulars(name) if form in owner} - {own}
        assert not others or name in {"glasses", "marbles", "woods"}, f"{name!r} is the plural of {others}"


def test_words_are_plain_and_in_a_group() -> None:
    for word in load_vocabulary():
        assert word.group
        for name in (word.name, *word.synonyms):
            assert name == " ".join(name.lower().split())
            assert not set(name) & set('",|\t')


def test_hypernyms_are_transitive() -> None:
    words = load_vocabulary()
    above = dict(zip((word.name for word in words), more_general(words), strict=True))
    for name, kinds in [("poodle", {"dog"}), ("litter of puppies", {"puppy", "dog"}), ("duckling", {"duck", "bird"})]:
        assert {words[row].name for row in above[name]} == kinds
    assert above["dog"] == ()


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("dog", "dog"),
        ("  Dogs ", "dog"),
        ("automobile", "car"),
        ("Automobiles", "car"),
        ("PUPPIES", "puppy"),
        ("leaves", "leaf"),
        ("people", "person"),
        ("horses", "horse"),
        ("palm_tree", "palm tree"),
        ("glasses", "glasses"),
        ("my boat Ada", "my boat ada"),
        ("holidays in Crete", "holidays in crete"),
    ],
)
def test_names_are_folded(name: str, tag: str) -> None:
    assert canonical(name) == tag


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a tag must have"):
        canonical(name)


def test_words_and_synonyms_are_folded_to_their_word() -> None:
    for word in load_vocabulary():
        for name in (word.name, *word.synonyms):
            assert canonical(name) == word.name
            assert canonical(canonical(name)) == word.name


def test_a_vocabulary_file(tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    text = "name\tsynonyms\tgroup\nWeld seam\tseam|bead\tparts\ncrack\nHairline\t\t\tCrack\n"
    file.write_text(text, encoding="utf-8")
    words = load_vocabulary(file)
    assert words == (Word("weld seam", ("seam", "bead"), "parts"), Word("crack"), Word("hairline", kind_of=("crack",)))
    assert Folding(words).canonical("Beads") == "weld seam"
    assert parse_vocabulary(vocabulary_text(words), "again") == words


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dog\ncat\nDog\n", "'dog' twice"),
        ("", "no words"),
        ("# dog\n", "no words"),
        ("dog\t\t\tanimal\n", "words of the kind 'animal'"),
        ("dog\t\t\tpet\npet\t\t\tdog\n", "circular kinds: dog, pet"),
    ],
)
def test_an_invalid_vocabulary_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "words.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        load_vocabulary(file)
    with pytest.raises(ConfigError, match="cannot read"):
        load_vocabulary(tmp_path / "gone.txt")
