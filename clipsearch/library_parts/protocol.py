"""The interface of a library for searching and viewing, local or over HTTP.

`clipsearch.library.Library` and `clipsearch.server.client.library.RemoteLibrary` implement it; a test compares their
signatures and answers. The docstrings of `Library` are the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clipsearch.retrieval.results import SearchOptions, SearchResult, SearchResults

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.browse.details import PictureDetails
    from clipsearch.browse.display_images import Rendition
    from clipsearch.catalog.facets import Facets
    from clipsearch.media.box import Box
    from clipsearch.retrieval.picture_reference import Picture

DEFAULT_OPTIONS = SearchOptions()


class Heatmap(Protocol):
    """See `clipsearch.retrieval.saliency.Explanation`."""

    @property
    def from_preview(self) -> bool:
        """Whether the preview was used because the file is not available."""
        ...

    def overlay(self) -> Image.Image:
        """The picture with its heat map, mode RGB."""
        ...


class BrowsableLibrary(Protocol):
    """The part of `Library.browse` that a server has."""

    def facets(self, query: str = "") -> Facets:
        """See `Browse.facets`."""
        ...

    def picture(self, content_hash: str) -> PictureDetails:
        """See `Browse.picture`."""
        ...

    def preview(self, content_hash: str) -> Rendition:
        """See `Browse.preview`."""
        ...

    def large_view(self, content_hash: str) -> Rendition:
        """See `Browse.large_view`."""
        ...


class VersionFinder(Protocol):
    """The part of `Library.duplicates` that a server has."""

    def versions_of(self, content_hash: str) -> list[Path]:
        """See `Duplicates.versions_of`."""
        ...


class SearchableLibrary(Protocol):
    """The part of `Library` that a server has."""

    @property
    def browse(self) -> BrowsableLibrary:
        """Details, previews and facets."""
        ...

    @property
    def duplicates(self) -> VersionFinder:
        """Other versions of pictures."""
        ...

    def close(self) -> None:
        """See `Library.close`."""
        ...

    def revision(self) -> int:
        """See `Library.revision`."""
        ...

    def search(self, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any) -> SearchResults:
        """See `Library.search`."""
        ...

    def similar(
        self,
        picture: Picture | Sequence[Picture],
        options: SearchOptions = DEFAULT_OPTIONS,
        *,
        box: Box | None = None,
        at_s: float | None = None,
        **overrides: Any,
    ) -> list[SearchResult]:
        """See `Library.similar`."""
        ...

    def explain(
        self,
        picture: SearchResult | Path | str,
        query: str = "",
        *,
        like: Picture | Sequence[Picture] | None = None,
        box: Box | None = None,
    ) -> Heatmap:
        """See `Library.explain`."""
        ...
