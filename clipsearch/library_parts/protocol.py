"""What finds and shows the pictures of a library, on this machine or over HTTP: one interface for both.

`clipsearch.library.Library` and `clipsearch.server.client.library.RemoteLibrary` implement it; a test holds their
signatures to it and compares their answers over a live server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clipsearch.retrieval.results import SearchOptions, SearchResult

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.browse.details import PictureDetails
    from clipsearch.browse.display_images import Rendition
    from clipsearch.catalog.facets import Facets
    from clipsearch.media.box import Box
    from clipsearch.retrieval.picture_reference import Picture

DEFAULT_OPTIONS = SearchOptions()


class Heatmap(Protocol):
    """Where in a picture a match is.

    Attributes:
        from_preview: the file is not there, and its small preview was looked at.
    """

    @property
    def from_preview(self) -> bool:
        """Whether a small preview stood in for the file."""
        ...

    def overlay(self) -> Image.Image:
        """The picture under its heat, mode RGB."""
        ...


class BrowsableLibrary(Protocol):
    """The group ``browse``, as far as a server has it, too."""

    def facets(self, query: str = "") -> Facets:
        """What the files that pass a query's filters have in common, counted."""
        ...

    def picture(self, content_hash: str) -> PictureDetails:
        """One picture with its files, its metadata and its tags."""
        ...

    def preview(self, content_hash: str) -> Rendition:
        """The small preview of a picture."""
        ...

    def large_view(self, content_hash: str) -> Rendition:
        """A picture at the size of a screen."""
        ...


class VersionFinder(Protocol):
    """The group ``duplicates``, as far as a server has it, too."""

    def versions_of(self, content_hash: str) -> list[Path]:
        """The files that hold another version of a picture, by path."""
        ...


class SearchableLibrary(Protocol):
    """A library that is searched and looked at; the docstrings of `clipsearch.library.Library` say the contract."""

    @property
    def browse(self) -> BrowsableLibrary:
        """Details, previews and facets."""
        ...

    @property
    def duplicates(self) -> VersionFinder:
        """Other versions of pictures."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...

    def revision(self) -> int:
        """A number that rises with every change of which pictures can be found."""
        ...

    def search(self, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any) -> list[SearchResult]:
        """The files that match a query line best."""
        ...

    def similar(
        self,
        picture: Picture | Sequence[Picture],
        options: SearchOptions = DEFAULT_OPTIONS,
        *,
        box: Box | None = None,
        **overrides: Any,
    ) -> list[SearchResult]:
        """The files most like a picture."""
        ...

    def explain(
        self,
        picture: SearchResult | Path | str,
        query: str = "",
        *,
        like: Picture | Sequence[Picture] | None = None,
        box: Box | None = None,
    ) -> Heatmap:
        """Where in a picture its match with a query is, or its likeness to other pictures."""
        ...
