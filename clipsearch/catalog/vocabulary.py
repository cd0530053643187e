"""The words that pictures are tagged with: everyday names, their synonyms, and which is a kind of which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from clipsearch.config import data_dir
from clipsearch.errors import ConfigError

WORDS_FILE = Path("vocabulary") / "words.tsv"
"""Within `data_dir`."""

_HEADER = ("name", "synonyms", "group", "kind of")
_LONGEST_NAME = 80
# fmt: off
_IRREGULAR = {
    "calves": "calf", "children": "child", "feet": "foot", "geese": "goose", "halves": "half", "hooves": "hoof",
    "knives": "knife", "leaves": "leaf", "loaves": "loaf", "men": "man", "mice": "mouse", "oxen": "ox",
    "people": "person", "scarves": "scarf", "shelves": "shelf", "teeth": "tooth", "wolves": "wolf", "women": "woman",
}
# fmt: on


@dataclass(frozen=True)
class Word:
    """A tag that a picture can get.

    Attributes:
        name: what it is called, lower case.
        synonyms: other words for the same.
        group: what kind of thing it is, for example ``animals``.
        kind_of: names of the words that are true of whatever this one is, as ``dog`` of a puppy.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    group: str = ""
    kind_of: tuple[str, ...] = ()


class Folding:
    """Brings the names of tags to one form: synonyms, plurals and case are folded."""

    def __init__(self, words: Iterable[Word]) -> None:
        """Bind the vocabulary whose synonyms count."""
        self._names: dict[str, str] = {}
        listed = list(words)
        for word in listed:
            self._names.update(dict.fromkeys((word.name, *word.synonyms), word.name))
        for word in listed:  # after all that are written so themselves
            for known in (word.name, *word.synonyms):
                for form in singulars(known):
                    self._names.setdefault(form, word.name)

    def canonical(self, name: str) -> str:
        """The one name of a tag; a word that the vocabulary lacks is its own, in lower case.

        Raises:
            ConfigError: there is nothing in it, or too much.
        """
        plain = " ".join(name.lower().replace("_", " ").split())
        if not plain or len(plain) > _LONGEST_NAME:
            raise ConfigError(f"a tag is a name of 1 to {_LONGEST_NAME} characters, not {name[:_LONGEST_NAME]!r}")
        return next((self._names[form] for form in (plain, *singulars(plain)) if form in self._names), plain)


def load_vocabulary(path: Path | None = None) -> tuple[Word, ...]:
    """The shipped vocabulary, or that of a file of the same form.

    Args:
        path: a table with the columns name, synonyms (with ``|`` between them), group, and what it is a kind of (names
            of the table, likewise), tab-separated; all but the first may be missing, so that a list with one word in
            each line will do.

    Raises:
        ConfigError: the file cannot be read, a name is there twice, or there is none, or a word is a kind of something
            that is not there, or of itself.
    """
    if path is None:
        return _shipped()
    try:
        return parse_vocabulary(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the vocabulary {path} cannot be read: {error}") from error


def parse_vocabulary(text: str, source: str) -> tuple[Word, ...]:
    """The words of a vocabulary's text; see `load_vocabulary`.

    Raises:
        ConfigError: as there; it names `source`.
    """
    words = tuple(_parsed(text))
    names = [word.name for word in words]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice or not words:
        raise ConfigError(f"the vocabulary {source} has {f'{twice[0]!r} twice' if twice else 'no words'}")
    try:
        more_general(words)
    except ValueError as error:
        raise ConfigError(f"the vocabulary {source} has {error}") from error
    return words


def more_general(words: Sequence[Word]) -> tuple[tuple[int, ...], ...]:
    """For each word of a vocabulary, the rows of those that it is a kind of, however far up.

    >>> more_general((Word("poodle", kind_of=("dog",)), Word("dog", kind_of=("animal",)), Word("animal")))
    ((1, 2), (2,), ())

    Raises:
        ValueError: a word is a kind of something that is not in the vocabulary, or of itself.
    """
    rows = {word.name: row for row, word in enumerate(words)}
    above: dict[str, frozenset[int]] = {}
    try:
        for name in TopologicalSorter({word.name: word.kind_of for word in words}).static_order():
            if name not in rows:
                raise ValueError(f"no word {name!r}, and others that are a kind of it")
            direct = words[rows[name]].kind_of
            above[name] = frozenset(rows[kind] for kind in direct).union(*(above[kind] for kind in direct))
    except CycleError as error:
        raise ValueError(f"words that are a kind of themselves: {', '.join(sorted(set(error.args[1])))}") from error
    return tuple(tuple(sorted(above[word.name])) for word in words)


def vocabulary_text(words: Sequence[Word]) -> str:
    """What `parse_vocabulary` makes the same words of."""
    cells = ((word.name, "|".join(word.synonyms), word.group, "|".join(word.kind_of)) for word in words)
    rows = [_HEADER, *cells]
    return "".join("\t".join(row) + "\n" for row in rows)


def canonical(name: str) -> str:
    """The one name of a tag, by the shipped vocabulary.

    >>> canonical("Puppies"), canonical("automobile"), canonical("my boat Ada")
    ('puppy', 'car', 'my boat ada')
    """
    return _shipped_folding().canonical(name)


def singulars(name: str) -> tuple[str, ...]:
    """What a name may be the plural of, by its last word's letters; the likeliest first.

    >>> singulars("butterflies"), singulars("palm trees"), singulars("wolves"), singulars("glass")
    (('butterfly', 'butterflie'), ('palm tree',), ('wolf',), ())
    """
    start, space, word = name.rpartition(" ")
    if word in _IRREGULAR:
        return (f"{start}{space}{_IRREGULAR[word]}",)
    found = [f"{name[:-3]}y"] if re.search(r"[^aeiou]ies$", name) else []
    if re.search(r"(s|x|z|o|ch|sh)es$", name):
        found.append(name[:-2])
    if name.endswith("s") and not re.search(r"(ss|us|is)$", name):
        found.append(name[:-1])
    return tuple(found)


def _parsed(text: str) -> Iterator[Word]:
    for number, line in enumerate(text.splitlines()):
        cells = [cell.strip() for cell in line.split("\t")]
        if not cells[0] or cells[0].startswith("#") or (number == 0 and cells[0].lower() == _HEADER[0]):
            continue
        name, synonyms, group, kind_of = (*cells, "", "", "")[:4]
        yield Word(" ".join(name.lower().split()), _names_in(synonyms), group, _names_in(kind_of))


def _names_in(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(item.lower().split()) for item in cell.split("|") if item.strip()))


@lru_cache(maxsize=1)
def _shipped() -> tuple[Word, ...]:
    path = data_dir() / WORDS_FILE
    return parse_vocabulary(path.read_text(encoding="utf-8"), str(path))


@lru_cache(maxsize=1)
def _shipped_folding() -> Folding:
    return Folding(_shipped())
