"""`Library.texts`: the text in pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clipsearch.library_parts.context import LibraryContext

if TYPE_CHECKING:
    from clipsearch.catalog.reports import IndexProgress, TextReport
    from clipsearch.catalog.texts import TextCounts


class Texts:
    """The text in the pictures of one library."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context."""
        self._context = context

    def counts(self) -> TextCounts:
        """How many pictures there are, were read, and have text."""
        from clipsearch.media.ocr import READER

        return self._context.store.texts.counts(READER)

    def read(self, *, limit: int | None = None, progress: Callable[[IndexProgress], None] | None = None) -> TextReport:
        """Read the text in pictures that were not read yet (docs/text.md).

        Pictures that by their embeddings probably show text come first, the newest first. An interrupted run continues
        on the next call. Pictures of offline roots are left for later.

        Args:
            limit: pictures to read at most; all by default.
            progress: called from this thread. An exception from it interrupts the run: committed batches stay.

        Raises:
            ConfigError: the extra ``ocr`` is not installed.
            LibraryError: the disk is full, or the library is not writable.
        """
        from indexer.text_pass import read_texts

        return read_texts(
            self._context.store,
            likely=self._likely,
            limit=limit,
            notify=self._context.notify,
            progress=progress if progress is not None else lambda _: None,
        )

    def _likely(self, content_hashes: Sequence[str]) -> set[str]:
        from clipsearch.labeling.text_likelihood import probably_with_text

        model = self._context.active_model()
        return probably_with_text(self._context.store, model, self._context.encoder_of(model)(), content_hashes)
