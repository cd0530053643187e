"""A library over HTTP, with the interface of `clipsearch.library_parts.protocol.SearchableLibrary`."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsearch.browse.display_images import Rendition
from clipsearch.config import typed_path
from clipsearch.errors import QueryError
from clipsearch.library_parts.protocol import DEFAULT_OPTIONS
from clipsearch.media.decoding import read_image_bytes
from clipsearch.query import ImageTerm, Query, Term, parse_query
from clipsearch.retrieval.picture_reference import Picture, picture_term
from clipsearch.retrieval.results import SearchOptions, SearchResult, SearchResults
from clipsearch.server.client.values import details_of, facets_of, read_reply, results_of

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.browse.details import PictureDetails
    from clipsearch.catalog.facets import Facets
    from clipsearch.media.box import Box
    from clipsearch.server.client.connection import ServerConnection

_REVISION_AGE_S = 1.0
"""How long the revision is cached; every view requests it."""


@dataclass(frozen=True)
class RemoteExplanation:
    """A saliency overlay rendered by the server.

    Attributes:
        jpeg: the overlay.
        from_preview: whether the preview was used because the file is not available.
    """

    jpeg: bytes
    from_preview: bool = False

    def overlay(self) -> Image.Image:
        """See `clipsearch.retrieval.saliency.Explanation.overlay`."""
        from PIL import Image

        return Image.open(io.BytesIO(self.jpeg))


class RemoteLibrary:
    """The library of a `clipsearch serve`. Thread-safe.

    All methods raise ConfigError if the token is not accepted, and LibraryError if the server cannot be reached or
    cannot answer now.
    """

    def __init__(self, connection: ServerConnection) -> None:
        """Bind the server; nothing is sent yet."""
        self._connection = connection
        self._lock = threading.Lock()
        self._revision: tuple[int, float] | None = None
        self.browse = RemoteBrowse(connection)
        self.duplicates = RemoteDuplicates(connection)

    @property
    def url(self) -> str:
        """The server's URL."""
        return self._connection.url

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def revision(self) -> int:
        """See `Library.revision`; cached for `_REVISION_AGE_S`."""
        with self._lock:
            if self._revision is None or time.monotonic() - self._revision[1] > _REVISION_AGE_S:
                reply = self._connection.get("/v1/status")
                self._revision = read_reply(reply.content, lambda status: int(status["revision"])), time.monotonic()
            return self._revision[0]

    def search(self, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any) -> SearchResults:
        """See `Library.search`. Pictures named by path are files of this machine, and are uploaded.

        Raises:
            QueryError: also if a limit of the server is exceeded.
        """
        parameters = asdict(replace(options, **overrides))
        line, files = _to_send(parse_query(query))
        if files:
            reply = self._connection.post_form(
                "/v1/search/pictures", parameters, fields={"query": line}, files=[("images", file) for file in files]
            )
        else:
            reply = self._connection.post("/v1/search", {"query": query, **parameters})
        return read_reply(reply.content, results_of)

    def similar(
        self,
        picture: Picture | Sequence[Picture],
        options: SearchOptions = DEFAULT_OPTIONS,
        *,
        box: Box | None = None,
        at_s: float | None = None,
        **overrides: Any,
    ) -> list[SearchResult]:
        """See `Library.similar`. A file or an image of this machine is uploaded.

        Raises:
            QueryError: also for several pictures, or a box of an uploaded one.
        """
        picture = _only_one(picture)
        parameters = asdict(replace(options, **overrides))
        if parameters.pop("min_match") != "any":
            raise QueryError("--min-match works only with text queries")
        del parameters["by"]
        digest = picture_term(picture).content_hash if isinstance(picture, str) else None
        if digest is not None:
            parameters |= {"box": str(box) if box is not None else None, "at_s": at_s}
            reply = self._connection.get(f"/v1/pictures/{_digits(digest)}/similar", parameters)
        elif box is not None:
            raise QueryError("a server accepts --box only for a picture of its library; name it by ~#")
        elif at_s is not None:
            raise QueryError("a server accepts --at only for a video of its library; name it by ~#")
        else:
            files = [("image", _file_to_send(picture))]
            reply = self._connection.post_form("/v1/similar", parameters, fields={}, files=files)
        return read_reply(reply.content, results_of)

    def explain(
        self,
        picture: SearchResult | Path | str,
        query: str = "",
        *,
        like: Picture | Sequence[Picture] | None = None,
        box: Box | None = None,
    ) -> RemoteExplanation:
        """See `Library.explain`; for texts and pictures of the server's library.

        Raises:
            QueryError: also for a picture that is not in the server's library.
        """
        if like is not None:
            other = _only_one(like)
            if not isinstance(other, str):
                raise QueryError("a server compares only pictures of its library; name it by ~#")
            content: dict[str, object] = {"query": f"~#{_digits(other)}", "box": str(box) if box is not None else None}
        elif _to_send(parse_query(query))[1]:
            raise QueryError("a server explains only matches with texts and pictures of its library")
        else:
            content = {"query": query}
        digest = picture.content_hash if isinstance(picture, SearchResult) else str(picture)
        reply = self._connection.post(f"/v1/pictures/{_digits(digest)}/explanation", content)
        return RemoteExplanation(reply.content, from_preview=reply.headers.get("x-from-preview") == "1")


class RemoteBrowse:
    """The group ``browse`` of a server's library."""

    def __init__(self, connection: ServerConnection) -> None:
        """Bind the server."""
        self._connection = connection

    def facets(self, query: str = "") -> Facets:
        """See `Library.browse.facets`."""
        return read_reply(self._connection.get("/v1/facets", {"query": query or None}).content, facets_of)

    def picture(self, content_hash: str) -> PictureDetails:
        """See `Library.browse.picture`."""
        return read_reply(self._connection.get(f"/v1/pictures/{_digits(content_hash)}").content, details_of)

    def preview(self, content_hash: str) -> Rendition:
        """See `Library.browse.preview`.

        Raises:
            QueryError: also if the picture cannot be read now.
        """
        return Rendition(self._connection.get(f"/v1/thumbnails/{_digits(content_hash)}").content, is_preview=True)

    def large_view(self, content_hash: str) -> Rendition:
        """See `Library.browse.large_view`; the preview if the token lacks the scope.

        Raises:
            QueryError: also if the picture cannot be read now.
        """
        reply = self._connection.get(f"/v1/images/{_digits(content_hash)}", accept={403})
        if reply.status == 403:
            return self.preview(content_hash)
        return Rendition(reply.content, is_preview="no-cache" in reply.headers.get("cache-control", ""))


class RemoteDuplicates:
    """The group ``duplicates`` of a server's library."""

    def __init__(self, connection: ServerConnection) -> None:
        """Bind the server."""
        self._connection = connection

    def versions_of(self, content_hash: str) -> list[Path]:
        """See `Library.duplicates.versions_of`."""
        reply = self._connection.get(f"/v1/pictures/{_digits(content_hash)}/versions")
        return read_reply(reply.content, lambda versions: [Path(path) for path in versions["paths"]])


def _to_send(query: Query) -> tuple[str, list[tuple[str, bytes]]]:
    """The line with ``~1``, ``~2``… for pictures to upload, and these with name and content.

    Raises:
        ImageReadError: a picture cannot be read.
    """
    files: list[tuple[str, bytes]] = []
    terms: list[Term] = []
    for term in query.terms:
        if isinstance(term, ImageTerm) and term.path is not None:
            path = typed_path(term.path)
            files.append((f"picture{path.suffix}", read_image_bytes(path)))  # the file name stays private
            terms.append(replace(term, reference=str(len(files))))
        else:
            terms.append(term)
    return str(replace(query, terms=tuple(terms))), files


def _digits(picture: str) -> str:
    """Validate the digits of a content hash before they become part of a URL.

    Raises:
        QueryError: they are invalid.
    """
    digits = picture.removeprefix("~").removeprefix("#").lower()
    if not digits or not all(digit in "0123456789abcdef" for digit in digits):
        raise QueryError(
            f"{picture} is no picture of the library; name it by ~# and the first digits of its content hash"
        )
    return digits


def _only_one(picture: Picture | Sequence[Picture]) -> Picture:
    """The single picture of a sequence.

    Raises:
        QueryError: there are several, or none.
    """
    if isinstance(picture, Sequence) and not isinstance(picture, str):
        if len(picture) != 1:
            raise QueryError("a server compares with only one picture at a time")
        return picture[0]
    return picture


def _file_to_send(picture: Picture) -> tuple[str, bytes]:
    """Name and content of a picture to upload.

    Raises:
        ImageReadError: the picture cannot be read.
    """
    if isinstance(picture, str | Path):
        path = typed_path(picture)
        return f"picture{path.suffix}", read_image_bytes(path)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return "picture.png", content.getvalue()
