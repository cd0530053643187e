"""`Library.concepts`: named concepts, learned from example pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import typed_path
from clipsearch.library_parts.context import LibraryContext
from clipsearch.query import check_k

if TYPE_CHECKING:
    from clipsearch.labeling.concepts.values import ConceptDetails, Suggestion
    from clipsearch.retrieval.results import SearchResult


class Concepts:
    """The concepts of one library."""

    def __init__(self, context: LibraryContext, search: Callable[[str, int], list[SearchResult]]) -> None:
        """Bind the shared context, and a function that returns the k best results of a query line."""
        self._context = context
        self._search = search

    def all(self) -> list[ConceptDetails]:
        """All concepts, by name."""
        from clipsearch.labeling.concepts.service import show

        store, model = self._context.store, self._context.catalog.active_model()
        return [show(store, concept, model) for concept in store.concepts.all()]

    def get(self, name: str) -> ConceptDetails:
        """A concept with its examples, and its fit if it is current.

        Raises:
            ConfigError: there is no such concept.
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
        """Add a concept learned from example pictures, for use in queries as ``@name``.

        Args:
            name: 1 to 100 characters; case is ignored.
            positives: pictures that show it: files, in the library or not, or ``~#`` and the first digits of a content
                hash.
            negatives: pictures that do not; more are drawn from the library.
            text: description, used while there are few examples.

        Raises:
            ConfigError: the name is taken or invalid, there is no positive example, or a picture is named as both.
            ImageReadError: a picture cannot be read and is not in the library.
            QueryError: a hash is unknown or ambiguous, or the library has no images.
        """
        from clipsearch.labeling.concepts.service import add_concept

        return add_concept(self._context.concept_space(), name, positives=positives, negatives=negatives, text=text)

    def confirm(self, name: str, *pictures: Path | str) -> ConceptDetails:
        """Add positive examples to a concept and fit it again.

        Raises:
            ConfigError: there is no such concept, or no picture is named.
            ImageReadError: a picture cannot be read and is not in the library.
            QueryError: a hash is unknown or ambiguous.
        """
        from clipsearch.labeling.concepts.service import teach

        return teach(self._context.concept_space(), name, positives=pictures, negatives=())

    def reject(self, name: str, *pictures: Path | str) -> ConceptDetails:
        """Add negative examples to a concept and fit it again. Raises as `confirm`.

        Raises:
            ConfigError: no positive example would be left.
        """
        from clipsearch.labeling.concepts.service import teach

        return teach(self._context.concept_space(), name, positives=(), negatives=pictures)

    def suggest(self, name: str, *, k: int = 10) -> list[Suggestion]:
        """Uncertain and diverse pictures to confirm or reject next (active learning).

        Args:
            name: of the concept.
            k: maximum number of pictures, from 1.

        Raises:
            ConfigError: there is no such concept.
            QueryError: `k` is below 1, or no positive example can be embedded any more.
        """
        from clipsearch.labeling.concepts.active_learning import suggest

        check_k(k)
        return suggest(self._context.concept_space(), name, k=k, search=self._search)

    def remove(self, name: str) -> ConceptDetails:
        """Delete and return a concept; its pictures stay.

        Raises:
            ConfigError: there is no such concept.
        """
        from clipsearch.labeling.concepts.service import find

        removed, store = self.get(name), self._context.store
        store.concepts.remove(find(store, name).id)
        return removed

    def export(self, name: str, file: Path | str) -> None:
        """Write a concept to a new JSON file: the content hashes of its examples, and its direction.

        Raises:
            ConfigError: there is no such concept, or `file` exists or cannot be written.
            QueryError: no positive example can be embedded any more.
        """
        from clipsearch.labeling.concepts.service import export_concept

        export_concept(self._context.concept_space(), name, typed_path(file))
