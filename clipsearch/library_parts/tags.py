"""`Library.tags`: pictures named by the words of a vocabulary, by the model or by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import LibraryLockedError
from clipsearch.library_parts.context import LibraryContext

if TYPE_CHECKING:
    from clipsearch.catalog.tags import TagCount, TagProgress, TagRecord
    from clipsearch.labeling.tagging import TagReport


class Tags:
    """The tags of one library's pictures."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind what the library's parts share."""
        self._context = context

    def assign(
        self, *, vocabulary: Path | str | None = None, progress: Callable[[int], None] = lambda _: None
    ) -> TagReport:
        """Give every picture the tags that fit it (docs/tags.md), and from now on those that are indexed.

        Tags set or rejected by hand stay.

        Args:
            vocabulary: a file as for `clipsearch.catalog.vocabulary.load_vocabulary`; the shipped one by default.
            progress: called now and then with the number of pictures that are done.

        Raises:
            ConfigError: the vocabulary is wrong.
            QueryError: the library has no images.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.labeling.tagging import tag_library

        searcher = self._context.searcher()
        return tag_library(
            self._context.store,
            searcher.model,
            encoder=lambda: searcher.embedder.encoder,
            vocabulary=Path(vocabulary).expanduser() if vocabulary is not None else None,
            progress=progress,
        )

    def drop(self) -> int:
        """Remove all tags but those set by hand, and tag no new pictures; returns how many pictures had some."""
        model = self._context.catalog.active_model()
        return self._context.store.tags.drop(model.id) if model is not None else 0

    def set(self, name: str, *pictures: Path | str) -> str:
        """Give pictures a tag by hand: it stays, whatever a model says. Returns its canonical name.

        Args:
            name: any; synonyms and plurals of the vocabulary are folded.
            pictures: files of the library, or ``~#`` and the first digits of a content hash.

        Raises:
            ConfigError: the name cannot be one, or the library holds no such picture.
        """
        return self._decide(name, pictures, present=True)

    def unset(self, name: str, *pictures: Path | str) -> str:
        """Take a tag from pictures by hand: no model gives it to them again. Otherwise as `set`."""
        return self._decide(name, pictures, present=False)

    def reset(self, name: str, *pictures: Path | str) -> str:
        """Take back what was said of a tag by hand: the model decides again. Otherwise as `set`."""
        return self._decide(name, pictures, present=None)

    def of(self, content_hash: str) -> list[TagRecord]:
        """The tags of a picture: those set by hand by name, then the model's, the most probable first."""
        return self._context.store.tags.of(content_hash)

    def counts(self, query: str = "") -> list[TagCount]:
        """The tags of the library's pictures, the most frequent first.

        Args:
            query: a line as for `Library.search`, of which only the filters count; all pictures by default.

        Raises:
            QueryError: the line is wrong.
        """
        return self._context.store.tags.counts(self._context.filters.condition_of(query))

    def progress(self) -> TagProgress | None:
        """Which pictures the active model has tagged; ``None`` if it tags none."""
        model = self._context.catalog.active_model()
        return self._context.store.tags.progress(model.id) if model is not None else None

    def keep_current(self, before: TagProgress | None = None) -> None:
        """Tag what is new since the last run, if the library is tagged at all.

        Args:
            before: the `progress` of the model that was active before; everything that it had tagged is tagged anew.
        """
        model = self._context.catalog.active_model()
        if model is None:
            return
        done = self.progress()
        if done is None and before is None:
            return
        from clipsearch.labeling.tagging import carry_tags_over, keep_tags_current

        store, encoder = self._context.store, self._context.encoder_of(model)
        try:
            if done is None and before is not None:
                carry_tags_over(store, before, model, encoder=encoder)
            else:
                keep_tags_current(store, model, encoder=encoder)
        except LibraryLockedError:
            self._context.notify(
                "tags are left as they are, as another process is writing; the next indexing makes them"
            )

    def _decide(self, name: str, pictures: Sequence[Path | str], *, present: bool | None) -> str:
        from clipsearch.labeling.tagging import contents_named

        store = self._context.store
        tag = store.tags.canonical(name)
        store.tags.decide(contents_named(store, pictures), tag, present=present)
        return tag
