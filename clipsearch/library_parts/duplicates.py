"""`Library.duplicates`: duplicate pictures and other versions."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import typed_path
from clipsearch.library_parts.context import LibraryContext

if TYPE_CHECKING:
    from clipsearch.retrieval.duplicates import DuplicateGroup, DuplicateKind


class Duplicates:
    """The duplicates of one library."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context."""
        self._context = context

    def find(
        self,
        *,
        kinds: Collection[DuplicateKind] = ("identical", "same", "near"),
        within: Path | str | None = None,
        stacks: bool = True,
    ) -> list[DuplicateGroup]:
        """Groups of duplicate files; nothing is deleted.

        Args:
            kinds: ``identical`` (same bytes), ``same`` (re-encoded, resized), ``near`` (cropped, rotated, edited).
            within: only files in this folder.
            stacks: a stack (RAW and JPEG, a Live Photo; docs/indexing.md) counts as its first file.

        Returns:
            Groups of at least two files, the one to keep first.

        Raises:
            QueryError: the library has no images.
        """
        from clipsearch.retrieval.duplicates import find_duplicates
        from clipsearch.retrieval.duplicates.loading import library_contents

        folder = typed_path(within).absolute() if within is not None else None
        store, model = self._context.store, self._context.active_model()
        contents, embeddings = library_contents(store, model, within=folder, with_stacks=stacks)
        return find_duplicates(contents, embeddings, kinds=kinds)

    def versions_of(self, content_hash: str) -> list[Path]:
        """Files with another version of a picture (re-saved, resized, lightly cropped or edited), by path.

        Args:
            content_hash: or its first digits, at least 6.

        Raises:
            QueryError: the hash is unknown or ambiguous.
        """
        return self._context.searcher().versions_of(content_hash)
