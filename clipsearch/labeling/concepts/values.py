"""Concepts, their examples and suggestions, as the API returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clipsearch.catalog.concept_records import ConceptFit


@dataclass(frozen=True)
class ExampleDetails:
    """An example of a concept.

    Attributes:
        content_hash: XXH3-128 of the file's bytes, hex.
        positive: whether it shows the concept.
        path: a file of the library with this content, or the original path of another picture; ``None`` if unknown.
        in_library: whether a file of the library has this content.
    """

    content_hash: str
    positive: bool
    path: Path | None
    in_library: bool


@dataclass(frozen=True)
class ConceptDetails:
    """A concept with its examples.

    Attributes:
        name: unique in the library.
        text: description; ``None`` if there is none.
        added_at: with time zone.
        examples: positives first.
        model: spec of the active model; ``None`` if the concept is not fitted for it yet.
        fit: the fit for `model`.
    """

    name: str
    text: str | None
    added_at: datetime
    examples: tuple[ExampleDetails, ...]
    model: str | None = None
    fit: ConceptFit | None = None

    @property
    def positives(self) -> int:
        """Number of positive examples."""
        return sum(example.positive for example in self.examples)

    @property
    def negatives(self) -> int:
        """Number of negative examples."""
        return len(self.examples) - self.positives


@dataclass(frozen=True)
class Suggestion:
    """A picture that is worth confirming or rejecting.

    Attributes:
        path: of a file with this content.
        content_hash: ``~#`` and its first digits also name the picture.
        probability: that it shows the concept, 0–1.
        thumbnail: preview; ``None`` if there is none.
    """

    path: Path
    content_hash: str
    probability: float
    thumbnail: Path | None = None
