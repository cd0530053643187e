"""What names the pictures of a library by words alone: labels to choose from, and tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import LibraryLockedError
from clipsearch.searching import Searching
from clipsearch.zero_shot import DEFAULT_TEMPLATES, check_labels, check_templates

if TYPE_CHECKING:
    from clipsearch.classification import Classification
    from clipsearch.store.tags import TagCount, TagProgress, TagRecord
    from clipsearch.tagging import TagReport

CLASSIFIED = 1000
"""Pictures that are classified at most, unless more are asked for."""


class Labelling(Searching):
    """The part of `clipsearch.library.Library` that names pictures by words."""

    def classify(
        self,
        query: str,
        labels: Sequence[str],
        *,
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        limit: int = CLASSIFIED,
    ) -> Classification:
        """Tell the pictures that a query finds apart by the names of classes (docs/labels.md).

        Args:
            query: as for `search`.
            labels: names of the classes, two at least.
            templates: what they are put into (`clipsearch.zero_shot.load_templates`).
            limit: how many pictures at most, the best; of filters alone, the newest.

        Raises:
            ConfigError: there are fewer than two labels, or one of the templates has no place for them.
            QueryError: as for `search`, or it finds nothing.
        """
        from clipsearch.classification import classify_results

        names, prompts = check_labels(labels), check_templates(templates, "templates")
        results = self.search(query, k=limit)
        searcher = self._current_searcher()
        return classify_results(
            self._store, searcher.model, lambda: searcher.embedder.encoder, results, labels=names, templates=prompts
        )

    def tag_all(
        self, *, vocabulary: Path | str | None = None, progress: Callable[[int], None] = lambda _: None
    ) -> TagReport:
        """Give every picture the tags that fit it (docs/tags.md), and from now on those that are indexed.

        What a person has said of tags stays.

        Args:
            vocabulary: a file as for `clipsearch.vocabulary.load_vocabulary`; the shipped one by default.
            progress: told now and then how many pictures are done.

        Raises:
            ConfigError: the vocabulary is wrong.
            QueryError: the library has no images.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.tagging import tag_library

        searcher = self._current_searcher()
        file = Path(vocabulary).expanduser() if vocabulary is not None else None
        return tag_library(
            self._store,
            searcher.model,
            encoder=lambda: searcher.embedder.encoder,
            vocabulary=file,
            progress=progress,
        )

    def drop_tags(self) -> int:
        """Take back all tags but a person's, and give none to pictures that are indexed; returns how many had some."""
        model = self._catalog.active_model()
        return self._store.tags.drop(model.id) if model is not None else 0

    def set_tag(self, name: str, *pictures: Path | str) -> str:
        """Give pictures a tag by hand: it stays, whatever a model says. Returns its one name.

        Args:
            name: any; synonyms and plurals of the vocabulary are folded.
            pictures: files of the library, or ``~#`` and the first digits of a content hash.

        Raises:
            ConfigError: the name cannot be one, or the library holds no such picture.
        """
        return self._decide_tag(name, pictures, present=True)

    def unset_tag(self, name: str, *pictures: Path | str) -> str:
        """Take a tag from pictures by hand: no model gives it to them again. Otherwise as `set_tag`."""
        return self._decide_tag(name, pictures, present=False)

    def forget_tag(self, name: str, *pictures: Path | str) -> str:
        """Take back what was said of a tag by hand: the model's word counts again. Otherwise as `set_tag`."""
        return self._decide_tag(name, pictures, present=None)

    def content_of(self, picture: Path | str) -> str:
        """The content hash of a picture of the library, named as for `set_tag`.

        Raises:
            ConfigError: the library holds no such picture.
        """
        from clipsearch.tagging import contents_named

        return contents_named(self._store, [picture])[0]

    def tags_of(self, content_hash: str) -> list[TagRecord]:
        """The tags of a picture: those a person gave by name, then the model's, the surest first."""
        return self._store.tags.of(content_hash)

    def tag_counts(self, query: str = "") -> list[TagCount]:
        """The tags of the library's pictures, the most frequent first.

        Args:
            query: a line as for `search`, of which only the filters count; all pictures by default.

        Raises:
            QueryError: the line is wrong.
        """
        from clipsearch.facets import filter_condition

        return self._store.tags.counts(filter_condition(self._store, query))

    def _decide_tag(self, name: str, pictures: Sequence[Path | str], *, present: bool | None) -> str:
        from clipsearch.tagging import contents_named

        tag = self._store.tags.canonical(name)
        self._store.tags.decide(contents_named(self._store, pictures), tag, present=present)
        return tag

    def _tag_progress(self) -> TagProgress | None:
        """How far the tags of the model at hand have come."""
        model = self._catalog.active_model()
        return self._store.tags.progress(model.id) if model is not None else None

    def _keep_tags_current(self, before: TagProgress | None = None) -> None:
        """Tag what is new; with the progress of a model before this one, everything that it had tagged."""
        model = self._catalog.active_model()
        if model is None:
            return
        held = self._store.tags.progress(model.id)
        if held is None and before is None:
            return
        from clipsearch.tagging import carry_tags_over, keep_tags_current

        try:
            if held is None and before is not None:
                carry_tags_over(self._store, before, model, encoder=lambda: self._model.encoder_of(model))
            else:
                keep_tags_current(self._store, model, encoder=lambda: self._model.encoder_of(model))
        except LibraryLockedError:
            self._notify("tags are left as they are, as another process is writing; the next indexing makes them")
