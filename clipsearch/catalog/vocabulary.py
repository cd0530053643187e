"""The vocabulary of tags: words with synonyms and hypernyms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from clipsearch.config import data_dir
from clipsearch.errors import ConfigError
from clipsearch.text import composed

WORDS_FILE = Path("vocabulary") / "words.tsv"
"""Path within `data_dir`."""

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
    """A word of the vocabulary.

    Attributes:
        name: lower case.
        synonyms: other names.
        group: for example ``animals``.
        kind_of: names of its hypernyms, for example ``dog`` for a puppy.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    group: str = ""
    kind_of: tuple[str, ...] = ()


class Folding:
    """Maps names to canonical tags, folding synonyms, plurals and case."""

    def __init__(self, words: Iterable[Word]) -> None:
        """Use the words and synonyms of a vocabulary."""
        self._names: dict[str, str] = {}
        listed = list(words)
        for word in listed:
            self._names.update(dict.fromkeys((word.name, *word.synonyms), word.name))
        for word in listed:  # exact names take precedence
            for known in (word.name, *word.synonyms):
                for form in singulars(known):
                    self._names.setdefault(form, word.name)

    def canonical(self, name: str) -> str:
        """The canonical name of a tag; an unknown word in lower case.

        Raises:
            ConfigError: the name is empty or too long.
        """
        plain = _plain(name.replace("_", " "))
        if not plain or len(plain) > _LONGEST_NAME:
            raise ConfigError(f"a tag must have 1 to {_LONGEST_NAME} characters, not {name[:_LONGEST_NAME]!r}")
        return next((self._names[form] for form in (plain, *singulars(plain)) if form in self._names), plain)


def load_vocabulary(path: Path | None = None) -> tuple[Word, ...]:
    """The bundled vocabulary, or that of a file.

    Args:
        path: a tab-separated table with the columns name, synonyms (separated by ``|``), group, and kind of (names in
            the table, separated by ``|``). All columns but the first are optional.

    Raises:
        ConfigError: the file cannot be read, is empty, has a duplicate name, or a word has an unknown or circular
            hypernym.
    """
    if path is None:
        return _shipped()
    try:
        return parse_vocabulary(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the vocabulary {path}: {error}") from error


def parse_vocabulary(text: str, source: str) -> tuple[Word, ...]:
    """Parse the text of a vocabulary; see `load_vocabulary`.

    Raises:
        ConfigError: as there, with `source` in the message.
    """
    words = tuple(_parsed(text))
    names = [word.name for word in words]
    duplicates = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if duplicates or not words:
        raise ConfigError(f"the vocabulary {source} has {f'{duplicates[0]!r} twice' if duplicates else 'no words'}")
    try:
        more_general(words)
    except ValueError as error:
        raise ConfigError(f"the vocabulary {source} has {error}") from error
    return words


def more_general(words: Sequence[Word]) -> tuple[tuple[int, ...], ...]:
    """Rows of all direct and indirect hypernyms of each word.

    >>> more_general((Word("poodle", kind_of=("dog",)), Word("dog", kind_of=("animal",)), Word("animal")))
    ((1, 2), (2,), ())

    Raises:
        ValueError: a hypernym is unknown or circular.
    """
    rows = {word.name: row for row, word in enumerate(words)}
    above: dict[str, frozenset[int]] = {}
    try:
        for name in TopologicalSorter({word.name: word.kind_of for word in words}).static_order():
            if name not in rows:
                raise ValueError(f"words of the kind {name!r}, which is not in it")
            direct = words[rows[name]].kind_of
            above[name] = frozenset(rows[kind] for kind in direct).union(*(above[kind] for kind in direct))
    except CycleError as error:
        raise ValueError(f"circular kinds: {', '.join(sorted(set(error.args[1])))}") from error
    return tuple(tuple(sorted(above[word.name])) for word in words)


def vocabulary_text(words: Sequence[Word]) -> str:
    """The inverse of `parse_vocabulary`."""
    cells = ((word.name, "|".join(word.synonyms), word.group, "|".join(word.kind_of)) for word in words)
    rows = [_HEADER, *cells]
    return "".join("\t".join(row) + "\n" for row in rows)


def canonical(name: str) -> str:
    """The canonical name of a tag, by the bundled vocabulary.

    >>> canonical("Puppies"), canonical("automobile"), canonical("my boat Ada")
    ('puppy', 'car', 'my boat ada')
    """
    return _shipped_folding().canonical(name)


def singulars(name: str) -> tuple[str, ...]:
    """Possible singulars of a name, the likeliest first.

    >>> singulars("butterflies"), singulars("palm trees"), singulars("wolves"), singulars("glass")
    (('butterfly', 'butterflie'), ('palm tree',), ('wolf',), ())
    """
    start, space, word = name.rpartition(" ")
    if word in _IRREGULAR:
        return (f"{start}{space}{_IRREGULAR[word]}",)
    candidates = [f"{name[:-3]}y"] if re.search(r"[^aeiou]ies$", name) else []
    if re.search(r"(s|x|z|o|ch|sh)es$", name):
        candidates.append(name[:-2])
    if name.endswith("s") and not re.search(r"(ss|us|is)$", name):
        candidates.append(name[:-1])
    return tuple(candidates)


def _parsed(text: str) -> Iterator[Word]:
    for number, line in enumerate(text.splitlines()):
        cells = [cell.strip() for cell in line.split("\t")]
        if not cells[0] or cells[0].startswith("#") or (number == 0 and cells[0].lower() == _HEADER[0]):
            continue
        name, synonyms, group, kind_of = (*cells, "", "", "")[:4]
        yield Word(_plain(name), _names_in(synonyms), group, _names_in(kind_of))


def _plain(name: str) -> str:
    """A name as it is kept: composed, in lower case, white space joined."""
    return " ".join(composed(name).lower().split())


def _names_in(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_plain(item) for item in cell.split("|") if item.strip()))


@lru_cache(maxsize=1)
def _shipped() -> tuple[Word, ...]:
    path = data_dir() / WORDS_FILE
    return parse_vocabulary(path.read_text(encoding="utf-8"), str(path))


@lru_cache(maxsize=1)
def _shipped_folding() -> Folding:
    return Folding(_shipped())
