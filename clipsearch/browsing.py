"""What shows a library to a person: what it holds, a picture with all that is known of it, what is put away."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.housekeeping import Housekeeping
from clipsearch.thumbnails import existing_thumbnail

if TYPE_CHECKING:
    from clipsearch.details import PictureDetails
    from clipsearch.embedding_map import EmbeddingMap
    from clipsearch.embedding_map.keeper import MapKeeper
    from clipsearch.facets import Facets
    from clipsearch.places import PicturePlaces


class Browsing(Housekeeping):
    """The part of `clipsearch.library.Library` that is looked at, and needs no model."""

    def revision(self) -> int:
        """A number that rises with every change of which pictures can be found."""
        return self._catalog.revision()

    def facets(self, query: str = "") -> Facets:
        """What the files that pass a query's filters have in common: months, cameras, folders and more, counted.

        Args:
            query: a line as for `search`, of which only the filters count; all files by default.

        Raises:
            QueryError: the line is wrong.
        """
        from clipsearch.facets import library_facets

        return library_facets(self._store, query)

    def picture(self, content_hash: str) -> PictureDetails:
        """One picture with its files, its metadata and its tags.

        Args:
            content_hash: all 32 hex digits of it.

        Raises:
            QueryError: no file of the library holds such a picture.
        """
        from clipsearch.details import picture_details

        return picture_details(self._store, content_hash)

    def original_of(self, content_hash: str) -> Path | None:
        """A file of a picture whose drive is there; ``None`` if there is none.

        Raises:
            QueryError: no file of the library holds such a picture.
        """
        return self.picture(content_hash).original

    def thumbnail_of(self, content_hash: str) -> Path | None:
        """The preview of a picture; ``None`` if there is none."""
        return existing_thumbnail(self.path, content_hash)

    def content_at(self, path: Path | str) -> str | None:
        """The content hash of what a file held when it was indexed; ``None`` if it is not in the library.

        Nothing is read but the catalog.
        """
        return self._store.concepts.content_at(Path(path))

    def trash(self, *paths: Path | str) -> int:
        """Move files to the system's trash and forget them. Returns how many.

        Raises:
            ConfigError: the library knows nothing of one of them, or it is a folder; then none is moved.
            LibraryLockedError: another process is writing to this library.
            LibraryError: one cannot be moved; those before it were.
        """
        from clipsearch.trash import move_to_trash

        return move_to_trash(self._store, [Path(path).expanduser() for path in paths])

    def embedding_map(self, *, wait_s: float = 0.0) -> EmbeddingMap:
        """Every picture's place among all others: what looks or means alike lies together, in clusters.

        It is there at once, by PCA or as it was drawn before; a better one is drawn in the background.

        Args:
            wait_s: how long to wait for the better one, in seconds.

        Raises:
            QueryError: the library has no images.
            LibraryError: embeddings in the catalog are damaged.
        """
        return self._maps.current(wait_s=wait_s)

    def places(self, query: str = "") -> PicturePlaces:
        """Where pictures were taken, of those of which it is known.

        Args:
            query: a line as for `search`, of which only the filters count; all pictures by default.

        Raises:
            QueryError: the line is wrong.
        """
        from clipsearch.places import library_places

        return library_places(self._store, query)

    @cached_property
    def _maps(self) -> MapKeeper:
        from clipsearch.embedding_map.keeper import MapKeeper

        return MapKeeper(self._catalog)
