"""`Library.concepts`: named concepts, learned from a few pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.library_parts.context import LibraryContext
from clipsearch.query import check_k

if TYPE_CHECKING:
    from clipsearch.labeling.concepts.values import ConceptDetails, Suggestion
    from clipsearch.retrieval.results import SearchResult


class Concepts:
    """The concepts of one library."""

    def __init__(self, context: LibraryContext, search: Callable[[str, int], list[SearchResult]]) -> None:
        """Bind what the library's parts share, and what finds the k best results of a query line."""
        self._context = context
        self._search = search

    def all(self) -> list[ConceptDetails]:
        """The concepts that the library knows, by name."""
        from clipsearch.labeling.concepts.service import show

        store, model = self._context.store, self._context.catalog.active_model()
        return [show(store, concept, model) for concept in store.concepts.all()]

    def get(self, name: str) -> ConceptDetails:
        """The concept of that name with its examples; what was fitted, unless that is still to be done.

        Raises:
            ConfigError: there is none.
        """
        from clipsearch.labeling.concepts.service import find, show

        store = self._context.store
        return show(store, find(store, name), self._context.catalog.active_model())

    def add(
        self,
        name: str,
        positives: Sequence[Path | str],
        *,
        negatives: Sequence[Path | str] = (),
        text: str | None = None,
    ) -> ConceptDetails:
        """Teach the library a concept by a few pictures; queries name it ``@name`` from then on.

        Args:
            name: 1 to 100 characters; upper and lower case are the same.
            positives: pictures that show it: files, in the library or not, or ``~#`` and the first digits of a content
                hash.
            negatives: pictures that do not; others are drawn from the library besides.
            text: what it is in words: it guides the search while there are few pictures.

        Raises:
            ConfigError: the name is taken or cannot be one, there is no positive picture, or one is named as both.
            ImageReadError: a picture cannot be read, and the library does not know it.
            QueryError: a hash is unknown or ambiguous, or the library has no images.
        """
        from clipsearch.labeling.concepts.service import add_concept

        return add_concept(self._context.concept_space(), name, positives=positives, negatives=negatives, text=text)

    def confirm(self, name: str, *pictures: Path | str) -> ConceptDetails:
        """Say that pictures show a concept; it is fitted again.

        Raises:
            ConfigError: there is no such concept, or no picture is named.
            ImageReadError: a picture cannot be read, and the library does not know it.
            QueryError: a hash is unknown or ambiguous.
        """
        from clipsearch.labeling.concepts.service import teach

        return teach(self._context.concept_space(), name, positives=pictures, negatives=())

    def reject(self, name: str, *pictures: Path | str) -> ConceptDetails:
        """Say that pictures do not show a concept; it is fitted again.

        Raises:
            ConfigError: as `confirm`, or none would be left that shows it.
            ImageReadError: as `confirm`.
            QueryError: as `confirm`.
        """
        from clipsearch.labeling.concepts.service import teach

        return teach(self._context.concept_space(), name, positives=(), negatives=pictures)

    def suggest(self, name: str, *, k: int = 10) -> list[Suggestion]:
        """The pictures that are most worth confirming or rejecting next: uncertain, and unlike each other.

        Args:
            name: of the concept.
            k: how many at most, from 1.

        Raises:
            ConfigError: there is no such concept.
            QueryError: `k` is below 1, or none of its pictures can be embedded any more.
        """
        from clipsearch.labeling.concepts.active_learning import suggest

        check_k(k)
        return suggest(self._context.concept_space(), name, k=k, search=self._search)

    def remove(self, name: str) -> ConceptDetails:
        """Forget a concept, and return what it was; its pictures stay.

        Raises:
            ConfigError: there is none.
        """
        from clipsearch.labeling.concepts.service import find

        removed, store = self.get(name), self._context.store
        store.concepts.remove(find(store, name).id)
        return removed

    def export(self, name: str, file: Path | str) -> None:
        """Write a concept to a new JSON file: its examples' content hashes, and its direction.

        Raises:
            ConfigError: there is no such concept, there is something at `file`, or it cannot be written.
            QueryError: none of its pictures can be embedded any more.
        """
        from clipsearch.labeling.concepts.export import export_concept

        export_concept(self._context.concept_space(), name, Path(file).expanduser())
