"""`Library.duplicates`: files that show the same picture."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.library_parts.context import LibraryContext

if TYPE_CHECKING:
    from clipsearch.retrieval.duplicates import DuplicateGroup, DuplicateKind


class Duplicates:
    """The duplicates of one library."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind what the library's parts share."""
        self._context = context

    def find(
        self, *, kinds: Collection[DuplicateKind] = ("identical", "same", "near"), within: Path | str | None = None
    ) -> list[DuplicateGroup]:
        """Groups of files that show the same picture; nothing is deleted.

        Args:
            kinds: ``identical`` (the same bytes), ``same`` (re-encoded, resized), ``near`` (cropped, turned, edited).
            within: a folder; only files in it count.

        Returns:
            Groups of two files or more, the one to keep first.

        Raises:
            QueryError: the library has no images.
        """
        from clipsearch.retrieval.duplicates import find_duplicates
        from clipsearch.retrieval.duplicates.loading import held_contents

        folder = Path(within).expanduser().absolute() if within is not None else None
        contents, embeddings = held_contents(self._context.store, self._context.active_model(), within=folder)
        return find_duplicates(contents, embeddings, kinds=kinds)

    def versions_of(self, content_hash: str) -> list[Path]:
        """The files that hold another version of a picture: re-saved, resized, lightly cropped or edited; by path.

        Args:
            content_hash: the picture's, or its first digits, at least 6.

        Raises:
            QueryError: the library holds no such picture, or several.
        """
        return self._context.searcher().versions_of(content_hash)
