"""`Library.browse`: details, previews, facets, places and the map. Only cluster labels need the model."""

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
    from clipsearch.retrieval.moments import MatchCurve


class Browse:
    """One library's pictures: details, previews, facets, places and the embedding map."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context."""
        self._context = context

    def facets(self, query: str = "") -> Facets:
        """Count the months, cameras, folders and other values of the files that pass a query's filters.

        Args:
            query: see `Library.search`; only its filters are used. All files by default.

        Raises:
            QueryError: the query is invalid.
        """
        return self._context.store.overview.facets(self._context.filters.line_condition(query))

    def picture(self, content_hash: str) -> PictureDetails:
        """A picture with its files, metadata and tags.

        Args:
            content_hash: 32 hex digits.

        Raises:
            QueryError: the picture is not in the library.
        """
        from clipsearch.browse.details import picture_details

        return picture_details(self._context.store, content_hash)

    def preview(self, content_hash: str) -> Rendition:
        """The small preview of a picture; made and stored if it is missing.

        Raises:
            QueryError: the picture is not in the library.
            ImageReadError: there is no preview, and no file can be read.
        """
        from clipsearch.browse.display_images import preview

        return preview(self._context.catalog.directory, self.picture(content_hash))

    def large_view(self, content_hash: str) -> Rendition:
        """A screen-sized picture, after EXIF rotation; its preview if no file can be read.

        Raises:
            QueryError: the picture is not in the library.
            ImageReadError: there is neither.
        """
        from clipsearch.browse.display_images import large_view

        return large_view(self._context.catalog.directory, self.picture(content_hash))

    def frame(self, content_hash: str, at_s: float) -> Rendition:
        """A preview of the frame of a video at a time in seconds.

        Raises:
            QueryError: the video is not in the library, or is a photo.
            ImageReadError: no file can be read.
        """
        from clipsearch.browse.display_images import frame_view

        return frame_view(self.picture(content_hash), at_s)

    def match_curve(self, content_hash: str, query: str = "") -> MatchCurve:
        """How well the frames of a video match a query over time.

        Args:
            content_hash: of the video, 32 hex digits.
            query: see `Library.search`; its filters are ignored.

        Raises:
            QueryError: the query is invalid.
        """
        return self._context.searcher().match_curve(content_hash, query)

    def thumbnail_of(self, content_hash: str) -> Path | None:
        """The file of a picture's preview; ``None`` if there is none."""
        return existing_thumbnail(self._context.catalog.directory, content_hash)

    def content_at(self, path: Path | str) -> str | None:
        """The content hash of a file, by the catalog only; ``None`` if it is not in the library."""
        return self._context.store.concepts.content_at(Path(path))

    def content_of(self, picture: Path | str) -> str:
        """The content hash of a picture of the library.

        Args:
            picture: a file, or ``~#`` and the first digits of a content hash.

        Raises:
            ConfigError: the picture is not in the library.
        """
        from clipsearch.labeling.tagging import contents_named

        return contents_named(self._context.store, [picture])[0]

    def places(self, query: str = "") -> PicturePlaces:
        """The GPS positions of pictures that have one.

        Args:
            query: see `Library.search`; only its filters are used. All pictures by default.

        Raises:
            QueryError: the query is invalid.
        """
        from clipsearch.browse.places import PicturePlaces

        condition = self._context.filters.line_condition(query)
        return PicturePlaces(*self._context.store.positions.located_contents(condition))

    def embedding_map(self, *, wait_s: float = 0.0) -> EmbeddingMap:
        """The 2D projection of all embeddings, with clusters.

        Returns the saved map or one by PCA; a better one is drawn in the background.

        Args:
            wait_s: how long to wait for the better map, in seconds.

        Raises:
            QueryError: the library has no images.
            LibraryError: embeddings in the catalog are damaged.
        """
        return self._context.maps.current(wait_s=wait_s)

    def cluster_labels(self, embedding_map: EmbeddingMap) -> list[str]:
        """Comma-separated vocabulary words for each cluster of a map that distinguish it from the rest of the library.

        Args:
            embedding_map: from `embedding_map`.

        Returns:
            One label for each cluster; empty if no word fits.

        Raises:
            ModelError: the model cannot be loaded.
        """
        from clipsearch.browse.embedding_map.labels import label_clusters

        return label_clusters(embedding_map.directions, self._context.searcher().embedder.encoder)
