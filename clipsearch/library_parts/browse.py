"""`Library.browse`: what a person looks at. Only the words on the map need the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.library_parts.context import LibraryContext
from clipsearch.media.thumbnails import existing_thumbnail

if TYPE_CHECKING:
    from clipsearch.browse.details import PictureDetails
    from clipsearch.browse.display_images import Rendition
    from clipsearch.browse.embedding_map import EmbeddingMap
    from clipsearch.browse.places import PicturePlaces
    from clipsearch.catalog.facets import Facets


class Browse:
    """One library's pictures: details, previews, facets, places and the embedding map."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind what the library's parts share."""
        self._context = context

    def facets(self, query: str = "") -> Facets:
        """What the files that pass a query's filters have in common: months, cameras, folders and more, counted.

        Args:
            query: a line as for `Library.search`, of which only the filters count; all files by default.

        Raises:
            QueryError: the line is wrong.
        """
        return self._context.store.overview.facets(self._context.filters.condition_of(query))

    def picture(self, content_hash: str) -> PictureDetails:
        """One picture with its files, its metadata and its tags.

        Args:
            content_hash: all 32 hex digits of it.

        Raises:
            QueryError: no file of the library holds such a picture.
        """
        from clipsearch.browse.details import picture_details

        return picture_details(self._context.store, content_hash)

    def preview(self, content_hash: str) -> Rendition:
        """The small preview of a picture; made from a file of it, and kept, where it is missing.

        Raises:
            QueryError: the library holds no such picture.
            ImageReadError: there is no preview, and no file of it can be read.
        """
        from clipsearch.browse.display_images import preview

        return preview(self._context.catalog.directory, self.picture(content_hash))

    def large_view(self, content_hash: str) -> Rendition:
        """A picture at the size of a screen, upright; its preview where no file of it can be read.

        Raises:
            QueryError: the library holds no such picture.
            ImageReadError: there is neither.
        """
        from clipsearch.browse.display_images import large_view

        return large_view(self._context.catalog.directory, self.picture(content_hash))

    def thumbnail_of(self, content_hash: str) -> Path | None:
        """The file of the small preview of a picture; ``None`` if there is none."""
        return existing_thumbnail(self._context.catalog.directory, content_hash)

    def content_at(self, path: Path | str) -> str | None:
        """The content hash of what a file held when it was indexed; ``None`` if it is not in the library.

        Nothing is read but the catalog.
        """
        return self._context.store.concepts.content_at(Path(path))

    def content_of(self, picture: Path | str) -> str:
        """The content hash of a picture of the library.

        Args:
            picture: a file of the library, or ``~#`` and the first digits of a content hash.

        Raises:
            ConfigError: the library holds no such picture.
        """
        from clipsearch.labeling.tagging import contents_named

        return contents_named(self._context.store, [picture])[0]

    def places(self, query: str = "") -> PicturePlaces:
        """Where pictures were taken, of those of which it is known.

        Args:
            query: a line as for `Library.search`, of which only the filters count; all pictures by default.

        Raises:
            QueryError: the line is wrong.
        """
        from clipsearch.browse.places import PicturePlaces

        condition = self._context.filters.condition_of(query)
        return PicturePlaces(*self._context.store.positions.located_contents(condition))

    def embedding_map(self, *, wait_s: float = 0.0) -> EmbeddingMap:
        """Every picture's place among all others: what looks or means alike lies together, in clusters.

        It is there at once, by PCA or as it was drawn before; a better one is drawn in the background.

        Args:
            wait_s: how long to wait for the better one, in seconds.

        Raises:
            QueryError: the library has no images.
            LibraryError: embeddings in the catalog are damaged.
        """
        return self._context.maps.current(wait_s=wait_s)

    def cluster_labels(self, embedding_map: EmbeddingMap) -> list[str]:
        """Words for each cluster of a map, those of the vocabulary that set it apart from the rest of the library.

        Args:
            embedding_map: from `embedding_map`.

        Returns:
            One line for each cluster, empty where no word can say what it is.

        Raises:
            ModelError: the model cannot be loaded.
        """
        from clipsearch.browse.embedding_map.labels import label_clusters

        return label_clusters(embedding_map.directions, self._context.searcher().embedder.encoder)
