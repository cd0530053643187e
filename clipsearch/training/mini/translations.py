"""What words, phrases and names of other languages mean in English, in the forms that people type.

`words.tsv` and `phrases.tsv` were written for this project. A word marked ``held out`` is never trained on in another
language than English, from no source, so that it shows what an unseen word finds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from clipsearch.training.mini.data import read_rows
from clipsearch.training.mini.usem import LANGUAGES

WORDS_FILE = Path(__file__).with_name("words.tsv")
PHRASES_FILE = Path(__file__).with_name("phrases.tsv")
EVERYDAY_FILE = Path(__file__).with_name("everyday.tsv")
FOREIGN = tuple(language for language in LANGUAGES if language != "en")

_SHORTEST_MISSPELT = 5
"""Letters of a word of which one may go wrong."""

_ALPHABETIC = frozenset({"de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru", "tr"})
"""Languages in which a letter is dropped, doubled or swapped."""

_PHOTO = {
    "ar": "صورة {}",
    "de": "ein Foto von {}",
    "es": "una foto de {}",
    "fr": "une photo de {}",
    "it": "una foto di {}",
    "ja": "{}の写真",
    "ko": "{} 사진",
    "nl": "een foto van {}",
    "pl": "zdjęcie {}",
    "pt": "uma foto de {}",
    "ru": "фото {}",
    "th": "ภาพถ่าย{}",
    "tr": "{} fotoğrafı",
    "zh": "{}的照片",
    "zh-TW": "{}的照片",
}
"""How people ask for a photo of something."""

_EMOJI_LANGUAGES = ("ar", "de", "es", "fr", "it", "ja", "ko", "pt", "ru", "tr", "zh")
_NO_THING = re.compile(r"skin_tone|flag|button|keycap|\bo.clock|thirty|input|arrow|Zodiac|mark$", re.IGNORECASE)
"""Names of emoji that no photo shows."""

_LETTERS = str.maketrans({"Ł": "L", "ł": "l", "ı": "i", "ß": "ss"})
"""Letters that Unicode does not decompose."""


@dataclass(frozen=True)
class Translation:
    """A text and what it means.

    Attributes:
        language: of the text; ``en`` for a misspelling of an English word.
        text: in that language.
        english: the same in English.
        listed: it comes from the project's own list, which has the words that people type most.
    """

    language: str
    text: str
    english: str
    listed: bool = False


@dataclass(frozen=True)
class Word:
    """A row of `words.tsv`: an English word, whether it is kept from training, and its translations by language."""

    english: str
    held_out: bool
    translations: Mapping[str, tuple[str, ...]]


@cache
def listed_words() -> tuple[Word, ...]:
    """The rows of `words.tsv`."""
    rows = read_rows(WORDS_FILE, ("split", "en", *FOREIGN))
    return tuple(
        Word(
            word, split == "held out", {name: tuple(own.split(";")) for name, own in zip(FOREIGN, others, strict=True)}
        )
        for split, word, *others in rows
    )


def everyday_words() -> dict[str, dict[str, str]]:
    """Fifty English words and their translation, by language."""
    rows = read_rows(EVERYDAY_FILE, ("en", *FOREIGN))
    return {name: {row[0]: row[place] for row in rows} for place, name in enumerate(FOREIGN, 1)}


def load_translations(root: Path, english: tuple[str, ...], *, seed: int) -> tuple[Translation, ...]:
    """Everything that is known to mean the same, without the words that are held out.

    Args:
        root: folder of the training data.
        english: words of which misspellings are made.
        seed: of the misspellings.
    """
    rng = np.random.default_rng(seed)
    kept = {word.english for word in listed_words() if word.held_out}
    kept_texts = {
        (language, text.lower())
        for word in listed_words()
        if word.held_out
        for language, own in word.translations.items()
        for text in own
    }
    translations = dict.fromkeys([*_listed(rng), *_of_data(root), *_of_emoji()])
    misspelt = (Translation("en", misspelling(word, rng), word) for word in english if _can_be_misspelt(word, "en"))
    return tuple(
        own
        for own in (*translations, *misspelt)
        if own.text
        and re.sub(r"^(?:an?|the) ", "", own.english.lower()) not in kept
        and (own.language, own.text.lower()) not in kept_texts
    )


def _listed(rng: np.random.Generator) -> Iterator[Translation]:
    """Words bare, misspelt, without diacritics and as "a photo of"; phrases with and without diacritics."""
    everyday = everyday_words()
    for word in listed_words():
        for language, texts in word.translations.items():
            more = everyday[language].get(word.english)
            spellings = dict.fromkeys((*texts, more) if more else texts)
            forms = [*spellings, _PHOTO[language].format(texts[0]), *map(without_diacritics, spellings)]
            forms += [misspelling(text, rng) for text in spellings if _can_be_misspelt(text, language)]
            yield from (Translation(language, text, word.english, True) for text in forms)
    for phrase, *others in read_rows(PHRASES_FILE, ("en", *FOREIGN)):
        for language, alternatives in zip(FOREIGN, others, strict=True):
            for text in alternatives.split(";"):
                yield Translation(language, text, phrase, True)
                yield Translation(language, without_diacritics(text), phrase, True)


def _of_data(root: Path) -> Iterator[Translation]:
    """The names of ImageNet's classes and of COCO's objects."""
    rows = read_rows(root / "imagenet-samples" / "labels.tsv", ("image", "label"))
    labels: dict[str, str] = {row[0]: row[1] for row in rows}
    path = root / "imagenet-samples-languages" / "labels.tsv"
    for image, language, text in read_rows(path, ("image", "language", "label")):
        if language in FOREIGN and image in labels:
            yield Translation(language, text, labels[image])
    languages = ("ko", "ja", "zh", "de", "fr", "es")
    for name, *others in read_rows(root / "coco" / "object-names.tsv", ("en", *languages)):
        yield from (Translation(language, text, name) for language, text in zip(languages, others, strict=True))


def _of_emoji() -> Iterator[Translation]:
    """The names of Unicode's emoji, which show what people take pictures of."""
    import emoji

    emoji.config.load_language(list(_EMOJI_LANGUAGES))
    for character, names in emoji.EMOJI_DATA.items():
        name = names["en"]
        regional = 0x1F1E6 <= ord(character[0]) <= 0x1F1FF
        if regional or names["status"] != emoji.STATUS["fully_qualified"] or _NO_THING.search(name):
            continue
        english = _words(name).replace("-", " ")
        for language in _EMOJI_LANGUAGES:
            if language in names:
                yield Translation(language, _words(names[language]), english)


def _words(name: str) -> str:
    return name.strip(":").replace("_", " ").strip()


def without_diacritics(text: str) -> str:
    """As people type whose keyboard has no diacritics.

    >>> without_diacritics("schöner Łódź")
    'schoner Łodz'
    """
    if not any("LATIN" in unicodedata.name(character, "") for character in text):
        return text
    bare = "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))
    return bare.translate(_LETTERS)


def misspelling(word: str, rng: np.random.Generator) -> str:
    """A word with two letters swapped, one dropped or one doubled; its first letter stays."""
    place = int(rng.integers(1, len(word) - 1))
    kind = rng.random()
    if kind < 0.4:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + word[place + 1 :] if kind < 0.7 else word[:place] + word[place] + word[place:]


def _can_be_misspelt(text: str, language: str) -> bool:
    return language in _ALPHABETIC and len(text) >= _SHORTEST_MISSPELT and " " not in text
