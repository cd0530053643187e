"""Finds the pictures whose texts have words of a query, and says how much that means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.catalog.full_text import TEXT_KINDS, FoundText, FullText
from clipsearch.query import Query, TextTerm
from clipsearch.retrieval.hybrid.words import grade, query_words, whole_text

COMMON_SHARE = 0.02
"""Share of the pictures from which on a word finds none, if that is more than `COMMON_COUNT`."""

COMMON_COUNT = 200
"""Pictures up to which each word finds those that have it; a more frequent one only if it is the rarest of the query.
All words add to the strength of what any of them finds."""

_RARITY_NATS = 3.0
"""Information of the words found, in nats, that makes two thirds of full strength."""

_KIND_WEIGHTS = {"folder": 0.8, "place": 0.8, "camera": 0.6}
"""How much a word counts in each kind of text, where less than 1: a folder says less of one picture."""

_NAME = TEXT_KINDS.index("name")


@dataclass(frozen=True)
class TextMatch:
    """A picture with words of a query in its texts.

    Attributes:
        embedding_id: of the whole picture.
        strength: 0 to 1: the share of the query's information that its texts have, and how rare that is.
        is_named: the query is the name of one of its files, with or without extension.
    """

    embedding_id: int
    strength: float
    is_named: bool = False


@dataclass(frozen=True)
class TextMatches:
    """What a query finds literally.

    Attributes:
        words: that were looked for, in search form.
        matches: the strongest first, of equal ones the newest.
    """

    words: tuple[str, ...] = ()
    matches: tuple[TextMatch, ...] = ()

    @property
    def has_named(self) -> bool:
        """Whether the query is the name of a file."""
        return any(match.is_named for match in self.matches)


def find_texts(full_text: FullText, query: Query, *, model_id: int, pictures: int, common: bool) -> TextMatches:
    """Find the pictures with words of a query in their texts.

    A word's information is its idf, log of pictures over pictures that have it. The strength of a picture is the
    share of the query's information that it has, times how rare that is, times the share of the words in the query.

    Source: Sparck Jones 1972, A Statistical Interpretation of Term Specificity and Its Application in Retrieval.

    Args:
        full_text: of the catalog.
        query: whose words.
        model_id: of the embeddings.
        pictures: how many pictures the library has.
        common: find pictures by common words, too.
    """
    words = query_words(query)
    name = whole_text(query)
    limit = max(COMMON_COUNT, int(pictures * COMMON_SHARE)) + 1
    at_most = pictures + 1 if common else limit
    rows = {word: full_text.ids(word, at_most=at_most) for word in words}
    counts = {word: len(ids) for word, ids in rows.items()}
    found_some = [word for word, count in counts.items() if count and (common or count < limit)]
    rare = sorted(found_some, key=counts.__getitem__)
    looked_for = [word for place, word in enumerate(rare) if common or not place or counts[word] <= COMMON_COUNT]
    ids = {row_id for word in looked_for for row_id in rows[word]}
    if len(name) > 2 and _may_be_name(name, counts):
        ids.update(full_text.ids(name, at_most=limit))
    documents = {item.embedding_id: item for item in full_text.documents(sorted(ids), model_id=model_id)}
    information = {word: math.log((pictures + 1) / (count + 0.5)) for word, count in counts.items()}
    share = _share_of_words(query)
    matches = [_match(item, information, name, share) for item in documents.values()]
    telling = [match for match in matches if match.strength > 0 or match.is_named]
    telling.sort(key=lambda match: (not match.is_named, -match.strength, -match.embedding_id))
    return TextMatches(words, tuple(telling))


def _may_be_name(name: str, counts: dict[str, int]) -> bool:
    """Whether the whole query may be a name that no word of it finds: of several words, or short."""
    return name not in counts and all(counts.values())


def _share_of_words(query: Query) -> float:
    """The weight of the words among all that a query asks for: a picture or a concept beside them counts, too."""
    weights = [(isinstance(term, TextTerm), term.weight) for term in query.terms if term.weight > 0]
    return sum(weight for is_text, weight in weights if is_text) / (sum(weight for _, weight in weights) or 1.0)


def _match(item: FoundText, information: dict[str, float], name: str, share: float) -> TextMatch:
    total = sum(max(value, 0.0) for value in information.values())
    has = sum(max(value, 0.0) * best_grade(word, item.texts) for word, value in information.items())
    strength = has / total * (1 - math.exp(-has / _RARITY_NATS)) if total > 0 else 0.0
    return TextMatch(item.embedding_id, share * strength, bool(name) and _is_named(item.texts[_NAME], name))


def best_grade(word: str, texts: Sequence[str]) -> float:
    """How well one of the texts of a picture, in the order of `TEXT_KINDS`, has a word."""
    return max(
        _KIND_WEIGHTS.get(kind, 1.0) * grade(word, text) if word in text else 0.0
        for kind, text in zip(TEXT_KINDS, texts, strict=True)
    )


def _is_named(names: str, name: str) -> bool:
    return any(name in (each, each.rpartition(".")[0]) for each in names.split("\n"))
