"""The words that pictures are tagged with: everyday names, and the synonyms that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from clipsearch.config import data_dir
from clipsearch.errors import ConfigError

WORDS_FILE = Path("vocabulary") / "words.tsv"
"""Within `data_dir`."""

_HEADER = ("name", "synonyms", "group")
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
    """

    name: str
    synonyms: tuple[str, ...] = ()
    group: str = ""


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
        path: a table with the columns name, synonyms (with ``|`` between them) and group, tab-separated; the last two
            may be missing, so that a list with one word in each line will do.

    Raises:
        ConfigError: the file cannot be read, a name is there twice, or there is none.
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
    return words


def vocabulary_text(words: Sequence[Word]) -> str:
    """What `parse_vocabulary` makes the same words of."""
    rows = [_HEADER, *((word.name, "|".join(word.synonyms), word.group) for word in words)]
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
        name, synonyms, group = (*cells, "", "")[:3]
        others = dict.fromkeys(" ".join(item.lower().split()) for item in synonyms.split("|") if item.strip())
        yield Word(" ".join(name.lower().split()), tuple(others), group)


@lru_cache(maxsize=1)
def _shipped() -> tuple[Word, ...]:
    path = data_dir() / WORDS_FILE
    return parse_vocabulary(path.read_text(encoding="utf-8"), str(path))


@lru_cache(maxsize=1)
def _shipped_folding() -> Folding:
    return Folding(_shipped())
