"""A library that another machine serves: the part of `clipsearch.library.Library` that finds and shows pictures."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsearch.browse.display_images import Rendition
from clipsearch.errors import QueryError
from clipsearch.library_parts.protocol import DEFAULT_OPTIONS
from clipsearch.media.decoding import read_image_bytes
from clipsearch.query import ImageTerm, Query, Term, parse_query
from clipsearch.retrieval.picture_reference import Picture, picture_term
from clipsearch.retrieval.results import SearchOptions, SearchResult
from clipsearch.server.client.values import details_of, facets_of, read_reply, results_of

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.browse.details import PictureDetails
    from clipsearch.catalog.facets import Facets
    from clipsearch.media.box import Box
    from clipsearch.server.client.connection import Reply, ServerConnection

_REVISION_AGE_S = 1.0
"""What a search finds may be as old as that: everything that is shown asks for it."""


@dataclass(frozen=True)
class RemoteExplanation:
    """Where in a picture a match is, as the server has drawn it.

    Attributes:
        jpeg: the picture under its heat.
        from_preview: the file is not there, and its small preview was looked at.
    """

    jpeg: bytes
    from_preview: bool = False

    def overlay(self) -> Image.Image:
        """The picture under its heat; see `clipsearch.retrieval.saliency.Explanation`."""
        from PIL import Image

        return Image.open(io.BytesIO(self.jpeg))


class RemoteLibrary:
    """The library of a server of `clipsearch serve`, with the values of one on this machine.

    Everything raises ConfigError where the server wants another token, and LibraryError where it cannot be reached or
    cannot answer now. Safe to use from several threads.
    """

    def __init__(self, connection: ServerConnection) -> None:
        """Bind the server; nothing is asked yet."""
        self._connection = connection
        self._lock = threading.Lock()
        self._revision: tuple[int, float] | None = None
        self.browse = RemoteBrowse(connection)
        self.duplicates = RemoteDuplicates(connection)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()

    def revision(self) -> int:
        """A number that rises with every change of which pictures can be found, of up to a second ago."""
        with self._lock:
            if self._revision is None or time.monotonic() - self._revision[1] > _REVISION_AGE_S:
                reply = self._connection.get("/v1/status")
                self._revision = read_reply(reply.content, lambda status: int(status["revision"])), time.monotonic()
            return self._revision[0]

    def search(self, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any) -> list[SearchResult]:
        """See `Library.search`. A picture that is named by its path is one of this machine, and sent along.

        Raises:
            QueryError: the query is empty or wrong, or asks for more than the server gives.
            ImageReadError: a picture of the query cannot be read.
        """
        parameters = asdict(replace(options, **overrides))
        line, files = _to_send(parse_query(query))
        if files:
            reply = self._connection.send(
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
        **overrides: Any,
    ) -> list[SearchResult]:
        """See `Library.similar`. A file or an image of this machine is sent along.

        Raises:
            QueryError: as there; or there are several pictures, or a box of one that is sent.
            ImageReadError: a picture cannot be read.
        """
        picture = _only_one(picture)
        parameters = asdict(replace(options, **overrides))
        if parameters.pop("min_match") != "any":
            raise QueryError("--min-match works only with text queries")
        digest = picture_term(picture).content_hash if isinstance(picture, str) else None
        if digest is not None:
            parameters |= {"box": str(box) if box is not None else None}
            reply = self._connection.get(f"/v1/pictures/{_digits(digest)}/similar", parameters)
        elif box is not None:
            raise QueryError("a server takes --box only for a picture of its library; name one by ~#")
        else:
            files = [("image", _file_to_send(picture))]
            reply = self._connection.send("/v1/similar", parameters, fields={}, files=files)
        return read_reply(reply.content, results_of)

    def explain(
        self,
        picture: SearchResult | Path | str,
        query: str = "",
        *,
        like: Picture | Sequence[Picture] | None = None,
        box: Box | None = None,
    ) -> RemoteExplanation:
        """See `Library.explain`, for words and pictures of the server's library.

        Raises:
            QueryError: as there, or a picture that the server does not have.
        """
        if like is not None:
            other = _only_one(like)
            if not isinstance(other, str):
                raise QueryError("a server compares pictures of its library only; name one by ~#")
            content: dict[str, object] = {"query": f"~#{_digits(other)}", "box": str(box) if box is not None else None}
        elif _to_send(parse_query(query))[1]:
            raise QueryError("a server shows where the match is with words and pictures of its library only")
        else:
            content = {"query": query}
        digest = picture.content_hash if isinstance(picture, SearchResult) else str(picture)
        reply = self._connection.post(f"/v1/pictures/{_digits(digest)}/explanation", content)
        return RemoteExplanation(reply.content, from_preview=_is_of_preview(reply))


class RemoteBrowse:
    """The group ``browse`` of a server's library."""

    def __init__(self, connection: ServerConnection) -> None:
        """Bind the server."""
        self._connection = connection

    def facets(self, query: str = "") -> Facets:
        """See `Library.browse.facets`.

        Raises:
            QueryError: the line is wrong.
        """
        return read_reply(self._connection.get("/v1/facets", {"query": query or None}).content, facets_of)

    def picture(self, content_hash: str) -> PictureDetails:
        """See `Library.browse.picture`.

        Raises:
            QueryError: no file of the library holds such a picture.
        """
        return read_reply(self._connection.get(f"/v1/pictures/{_digits(content_hash)}").content, details_of)

    def preview(self, content_hash: str) -> Rendition:
        """The small preview of a picture.

        Raises:
            QueryError: the library has no such picture, or it cannot be read now.
        """
        return Rendition(self._connection.get(f"/v1/thumbnails/{_digits(content_hash)}").content, is_preview=True)

    def large_view(self, content_hash: str) -> Rendition:
        """A picture at the size of a screen; its preview if the token opens no more.

        Raises:
            QueryError: the library has no such picture, or it cannot be read now.
        """
        reply = self._connection.get(f"/v1/images/{_digits(content_hash)}", may={403})
        if reply.status == 403:
            return self.preview(content_hash)
        return Rendition(reply.content, is_preview="no-cache" in reply.headers.get("cache-control", ""))


class RemoteDuplicates:
    """The group ``duplicates`` of a server's library."""

    def __init__(self, connection: ServerConnection) -> None:
        """Bind the server."""
        self._connection = connection

    def versions_of(self, content_hash: str) -> list[Path]:
        """See `Library.duplicates.versions_of`.

        Raises:
            QueryError: the library holds no such picture.
        """
        reply = self._connection.get(f"/v1/pictures/{_digits(content_hash)}/versions")
        return read_reply(reply.content, lambda versions: [Path(path) for path in versions["paths"]])


def _is_of_preview(reply: Reply) -> bool:
    return reply.headers.get("x-from-preview") == "1"


def _to_send(query: Query) -> tuple[str, list[tuple[str, bytes]]]:
    """The line in which ``~1``, ``~2`` and so on are the pictures that go along, and these: name and content.

    Raises:
        ImageReadError: one cannot be read.
    """
    files: list[tuple[str, bytes]] = []
    terms: list[Term] = []
    for term in query.terms:
        if isinstance(term, ImageTerm) and term.path is not None:
            path = Path(term.path).expanduser()
            files.append((f"picture{path.suffix}", read_image_bytes(path)))  # its name is nobody's business
            terms.append(replace(term, reference=str(len(files))))
        else:
            terms.append(term)
    return str(replace(query, terms=tuple(terms))), files


def _digits(picture: str) -> str:
    """The digits of a content hash, so that nothing else gets into an address.

    Raises:
        QueryError: there are none.
    """
    digits = picture.removeprefix("~").removeprefix("#").lower()
    if not digits or not all(digit in "0123456789abcdef" for digit in digits):
        raise QueryError(f"{picture} is no picture of the library; name one by ~# and digits of its content hash")
    return digits


def _only_one(picture: Picture | Sequence[Picture]) -> Picture:
    """The only picture.

    Raises:
        QueryError: there are several, or none.
    """
    if isinstance(picture, Sequence) and not isinstance(picture, str):
        if len(picture) != 1:
            raise QueryError("a server compares with one picture at a time")
        return picture[0]
    return picture


def _file_to_send(picture: Picture) -> tuple[str, bytes]:
    """Name and content of a picture of this machine.

    Raises:
        ImageReadError: it cannot be read.
    """
    if isinstance(picture, str | Path):
        path = Path(picture).expanduser()
        return f"picture{path.suffix}", read_image_bytes(path)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return "picture.png", content.getvalue()
