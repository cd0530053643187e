"""`Library.tags`: tags of pictures, automatic or set by the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import typed_path
from clipsearch.errors import LibraryLockedError
from clipsearch.library_parts.context import LibraryContext
from clipsearch.query import And, Filter, Not, Or, parse_query
from clipsearch.text import closest

if TYPE_CHECKING:
    from clipsearch.catalog.tags import TagCount, TagProgress, TagRecord
    from clipsearch.labeling.tagging import TagReport


class Tags:
    """The tags of one library's pictures."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context."""
        self._context = context

    def assign(
        self, *, vocabulary: Path | str | None = None, progress: Callable[[int], None] = lambda _: None
    ) -> TagReport:
        """Tag all pictures (docs/tags.md), and from now on every picture that is indexed.

        Tags set or rejected by the user stay.

        Args:
            vocabulary: a file, see `clipsearch.catalog.vocabulary.load_vocabulary`; the shipped one by default.
            progress: called with the number of pictures done.

        Raises:
            ConfigError: the vocabulary is invalid.
            QueryError: the library has no images.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.labeling.tagging import tag_library

        searcher = self._context.searcher()
        return tag_library(
            self._context.store,
            searcher.model,
            encoder=lambda: searcher.embedder.encoder,
            vocabulary=typed_path(vocabulary) if vocabulary is not None else None,
            progress=progress,
        )

    def drop(self) -> int:
        """Delete all automatic tags and stop tagging; returns the number of pictures that had automatic tags."""
        model = self._context.catalog.active_model()
        return self._context.store.tags.drop(model.id) if model is not None else 0

    def set(self, name: str, *pictures: Path | str) -> str:
        """Set a tag on pictures permanently. Returns its canonical name.

        Args:
            name: synonyms and plurals of the vocabulary are replaced by their canonical form.
            pictures: files of the library, or ``~#`` and the first digits of a content hash.

        Raises:
            ConfigError: the name is invalid, or a picture is not in the library.
        """
        return self._decide(name, pictures, present=True)

    def unset(self, name: str, *pictures: Path | str) -> str:
        """Reject a tag of pictures permanently; see `set`."""
        return self._decide(name, pictures, present=False)

    def reset(self, name: str, *pictures: Path | str) -> str:
        """Undo `set` or `unset`, so that the model decides; see `set`."""
        return self._decide(name, pictures, present=None)

    def of(self, content_hash: str) -> list[TagRecord]:
        """The tags of a picture: those set by the user by name, then the automatic ones, the most probable first."""
        return self._context.store.tags.of(content_hash)

    def counts(self, query: str = "") -> list[TagCount]:
        """The tags of the library's pictures, the most frequent first.

        Args:
            query: see `Library.search`; only its filters are used. All pictures by default.

        Raises:
            QueryError: the query is invalid.
        """
        return self._context.store.tags.counts(self._context.filters.line_condition(query))

    def unknown(self, query: str) -> dict[str, str | None]:
        """Tags in the filters of a query that no picture has, each with the most similar tag of the library, if any.

        Raises:
            QueryError: the query is invalid.
        """
        names = set(_tags_in(parse_query(query).filter))
        known = [count.tag for count in self.counts()] if names else []
        canonical = self._context.store.tags.canonical
        return {
            name: closest(name.lower(), known)
            for name in sorted(names)
            if not {name.lower(), canonical(name)} & set(known)
        }

    def progress(self) -> TagProgress | None:
        """The tagging progress of the active model; ``None`` if the library is not tagged."""
        model = self._context.catalog.active_model()
        return self._context.store.tags.progress(model.id) if model is not None else None

    def keep_current(self, before: TagProgress | None = None) -> None:
        """Tag new pictures if the library is tagged.

        Args:
            before: the `progress` of the previously active model; its pictures are tagged again.
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
            self._context.notify("tags are not updated because another process is writing; the next indexing does it")

    def _decide(self, name: str, pictures: Sequence[Path | str], *, present: bool | None) -> str:
        from clipsearch.labeling.tagging import contents_named

        store = self._context.store
        tag = store.tags.canonical(name)
        store.tags.decide(contents_named(store, pictures), tag, present=present)
        return tag


def _tags_in(part: Filter | None) -> Iterator[str]:
    if isinstance(part, And | Or):
        for each in part.parts:
            yield from _tags_in(each)
    elif isinstance(part, Not):
        yield from _tags_in(part.part)
    elif part is not None and part.field == "tag":
        yield str(part.value)
