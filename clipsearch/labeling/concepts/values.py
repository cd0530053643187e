"""What a library tells of its concepts."""

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
        path: a file of the library that holds it, or where a picture outside of it was; ``None`` if it is gone.
        in_library: whether a file of the library holds it.
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
        text: what it is in words, if anybody said so.
        added_at: with time zone.
        examples: positives first.
        model: spec of the model that was fitted last, the one that searches use; ``None`` if that is still to be done.
        fit: what was fitted; with `model`.
    """

    name: str
    text: str | None
    added_at: datetime
    examples: tuple[ExampleDetails, ...]
    model: str | None = None
    fit: ConceptFit | None = None

    @property
    def positives(self) -> int:
        """How many examples show it."""
        return sum(example.positive for example in self.examples)

    @property
    def negatives(self) -> int:
        """How many examples do not."""
        return len(self.examples) - self.positives


@dataclass(frozen=True)
class Suggestion:
    """A picture that is worth confirming or rejecting.

    Attributes:
        path: a file that holds it.
        content_hash: of it; ``~#`` and its first digits name it, too.
        probability: that it shows the concept, as far as the examples tell, 0–1.
        thumbnail: its preview; ``None`` if there is none.
    """

    path: Path
    content_hash: str
    probability: float
    thumbnail: Path | None = None
