"""What a library learns: concepts from a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.labelling import Labelling
from clipsearch.query import check_k

if TYPE_CHECKING:
    from clipsearch.concepts.refitting import ConceptSpace
    from clipsearch.concepts.values import ConceptShown, Suggestion
    from clipsearch.embedding_map import EmbeddingMap
    from clipsearch.store.records import ModelRecord


class Learning(Labelling):
    """The part of `clipsearch.library.Library` that names what pictures show."""

    # --- concepts -------------------------------------------------------------------------------

    def add_concept(
        self,
        name: str,
        positives: Sequence[Path | str],
        *,
        negatives: Sequence[Path | str] = (),
        text: str | None = None,
    ) -> ConceptShown:
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
        from clipsearch.concepts.book import add_concept

        return add_concept(self._concepts(), name, positives=positives, negatives=negatives, text=text)

    def confirm_concept(self, name: str, *pictures: Path | str) -> ConceptShown:
        """Say that pictures show a concept; it is fitted again.

        Raises:
            ConfigError: there is no such concept, or no picture is named.
            ImageReadError: a picture cannot be read, and the library does not know it.
            QueryError: a hash is unknown or ambiguous.
        """
        from clipsearch.concepts.book import teach

        return teach(self._concepts(), name, positives=pictures, negatives=())

    def reject_concept(self, name: str, *pictures: Path | str) -> ConceptShown:
        """Say that pictures do not show a concept; it is fitted again.

        Raises:
            ConfigError: as `confirm_concept`, or none would be left that shows it.
            ImageReadError: as `confirm_concept`.
            QueryError: as `confirm_concept`.
        """
        from clipsearch.concepts.book import teach

        return teach(self._concepts(), name, positives=(), negatives=pictures)

    def suggest_for_concept(self, name: str, *, k: int = 10) -> list[Suggestion]:
        """The pictures that are most worth confirming or rejecting next: in doubt, and unlike each other.

        Args:
            name: of the concept.
            k: how many at most, from 1.

        Raises:
            ConfigError: there is no such concept.
            QueryError: `k` is below 1, or none of its pictures can be embedded any more.
        """
        from clipsearch.concepts.suggestion import suggest

        check_k(k)
        return suggest(self._concepts(), name, k=k, search=lambda line, wanted: self.search(line, k=wanted))

    def concepts(self) -> list[ConceptShown]:
        """The concepts that the library knows, by name."""
        from clipsearch.concepts.book import show

        model = self._catalog.active_model()
        return [show(self._store, concept, model) for concept in self._store.concepts.all()]

    def concept(self, name: str) -> ConceptShown:
        """The concept of that name with its examples; what was fitted, unless that is still to be done.

        Raises:
            ConfigError: there is none.
        """
        from clipsearch.concepts.book import find, show

        return show(self._store, find(self._store, name), self._catalog.active_model())

    def remove_concept(self, name: str) -> ConceptShown:
        """Forget a concept, and return what it was; its pictures stay.

        Raises:
            ConfigError: there is none.
        """
        from clipsearch.concepts.book import find

        shown = self.concept(name)
        self._store.concepts.remove(find(self._store, name).id)
        return shown

    def export_concept(self, name: str, file: Path | str) -> None:
        """Write a concept to a new JSON file: its examples' content hashes, and its direction.

        Raises:
            ConfigError: there is no such concept, there is something at `file`, or it cannot be written.
            QueryError: none of its pictures can be embedded any more.
        """
        from clipsearch.concepts.exported import export_concept

        export_concept(self._concepts(), name, Path(file).expanduser())

    # --- the map --------------------------------------------------------------------------------

    def cluster_labels(self, shown: EmbeddingMap) -> list[str]:
        """Words for each cluster of a map, those of the vocabulary that set it apart from the rest of the library.

        Args:
            shown: from `embedding_map`.

        Returns:
            One line for each cluster, empty where no word can say what it is.

        Raises:
            ModelError: the model cannot be loaded.
        """
        from clipsearch.embedding_map.labels import label_clusters

        return label_clusters(shown.directions, self._current_searcher().embedder.encoder)

    def _concepts(self) -> ConceptSpace:
        return self._current_searcher().embedder.concept_space

    def _concepts_of(self, model: ModelRecord) -> ConceptSpace:
        """The concepts in the space of a model that searches need not use yet."""
        from clipsearch.query_embedding import QueryEmbedder

        return QueryEmbedder(
            self._catalog,
            model,
            load_encoder=lambda: self._model.encoder_of(model),
            cache_texts=self._model.is_loaded_by_spec,
            notify=self._notify,
        ).concept_space
