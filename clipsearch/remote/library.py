"""A library that another machine serves: the part of `clipsearch.library.Library` that finds and shows pictures."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import QueryError
from clipsearch.images import read_image_bytes
from clipsearch.query import ImageTerm, Query, Term, parse_query
from clipsearch.remote.values import details_of, facets_of, read_reply, results_of
from clipsearch.renditions import Rendition
from clipsearch.results import SearchResult, Shown, Sort

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.boxes import Box
    from clipsearch.calibration import MinMatch
    from clipsearch.details import PictureDetails
    from clipsearch.facets import Facets
    from clipsearch.remote.connection import Reply, ServerConnection

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
        """The picture under its heat; see `clipsearch.explain.Explanation`."""
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
                self._revision = read_reply(reply.content, lambda found: int(found["revision"])), time.monotonic()
            return self._revision[0]

    def facets(self, query: str = "") -> Facets:
        """See `Library.facets`.

        Raises:
            QueryError: the line is wrong.
        """
        return read_reply(self._connection.get("/v1/facets", {"query": query or None}).content, facets_of)

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        offset: int = 0,
        sort: Sort = "score",
        among: int | None = None,
        group_copies: bool = False,
        group_duplicates: bool = False,
        min_match: MinMatch = "any",
    ) -> list[SearchResult]:
        """See `Library.search`. A picture that is named by its path is one of this machine, and sent along.

        Raises:
            QueryError: the query is empty or wrong, or asks for more than the server gives.
            ImageReadError: a picture of the query cannot be read.
        """
        wanted = asdict(Shown(k, offset, sort, among, group_copies, group_duplicates, min_match))
        parsed = parse_query(query)
        line, files = _to_send(parsed)
        if files:
            reply = self._connection.send("/v1/search/pictures", _lower(wanted), fields={"query": line}, files=files)
        else:
            reply = self._connection.post("/v1/search", {"query": query, **wanted})
        return read_reply(reply.content, results_of)

    def similar(
        self,
        picture: str,
        *,
        box: Box | None = None,
        where: str = "",
        k: int = 10,
        offset: int = 0,
        sort: Sort = "score",
        among: int | None = None,
        group_copies: bool = False,
        group_duplicates: bool = False,
    ) -> list[SearchResult]:
        """See `Library.similar`, for one picture of the library.

        Args:
            picture: ``~#`` and the first digits, at least 6, of its content hash.
            box: as there, with the rest.
            where: likewise.
            k: likewise.
            offset: likewise.
            sort: likewise.
            among: likewise.
            group_copies: likewise.
            group_duplicates: likewise.

        Raises:
            QueryError: as there, or it is no picture of the library.
        """
        wanted = asdict(Shown(k, offset, sort, among, group_copies, group_duplicates))
        del wanted["min_match"]  # likeness to a picture does not tell how well pictures match
        wanted |= {"box": str(box) if box is not None else None, "where": where or None}
        reply = self._connection.get(f"/v1/pictures/{_digits(picture)}/similar", _lower(wanted))
        return read_reply(reply.content, results_of)

    def picture(self, content_hash: str) -> PictureDetails:
        """See `Library.picture`.

        Raises:
            QueryError: no file of the library holds such a picture.
        """
        return read_reply(self._connection.get(f"/v1/pictures/{_digits(content_hash)}").content, details_of)

    def near_versions(self, content_hash: str) -> list[Path]:
        """See `Library.near_versions`.

        Raises:
            QueryError: the library holds no such picture.
        """
        reply = self._connection.get(f"/v1/pictures/{_digits(content_hash)}/versions")
        return read_reply(reply.content, lambda found: [Path(path) for path in found["paths"]])

    def explain(self, picture: SearchResult, query: str) -> RemoteExplanation:
        """See `Library.explain`.

        Raises:
            QueryError: the query has nothing but filters, or a picture that the server does not have.
        """
        if _to_send(parse_query(query))[1]:
            raise QueryError("a server shows where the match is with words and pictures of its library only")
        return self._explanation(picture, {"query": query})

    def explain_similar(self, picture: SearchResult, like: str, *, box: Box | None = None) -> RemoteExplanation:
        """See `Library.explain_similar`, for one picture of the library.

        Raises:
            QueryError: as for `similar`.
        """
        return self._explanation(picture, {"query": f"~#{_digits(like)}", "box": str(box) if box is not None else None})

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

    def _explanation(self, picture: SearchResult, content: dict[str, object]) -> RemoteExplanation:
        reply = self._connection.post(f"/v1/pictures/{_digits(picture.content_hash)}/explanation", content)
        return RemoteExplanation(reply.content, from_preview=_is_of_preview(reply))


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


def _lower(wanted: Mapping[str, object]) -> dict[str, object]:
    """As they stand in an address."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in wanted.items()}
