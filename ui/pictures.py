"""The addresses of pictures, and the routes that serve them: by content hash, never a file as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clipsearch.errors import ClipSearchError
from clipsearch.server.picture_ids import CONTENT_HASH, cache_control
from ui import strings
from ui.shared import searchable

if TYPE_CHECKING:
    from starlette.requests import Request

    from clipsearch.browse.display_images import Rendition
    from clipsearch.library_parts.protocol import BrowsableLibrary

_DECODED_AT_ONCE = 2
"""A picture may take a gigabyte while it is decoded."""

_READ_AT_ONCE = 8


def picture_routes() -> list[Route]:
    """The routes ``/thumbnail/HASH`` and ``/picture/HASH``."""
    return [
        # a path, so that nothing below is left to others
        Route(
            "/thumbnail/{content_hash:path}",
            _endpoint(lambda browse: browse.preview, at_once=_READ_AT_ONCE, previews_change=False),
        ),
        Route(
            "/picture/{content_hash:path}",
            _endpoint(lambda browse: browse.large_view, at_once=_DECODED_AT_ONCE, previews_change=True),
        ),
    ]


def _endpoint(
    rendering: Callable[[BrowsableLibrary], Callable[[str], Rendition]],
    *,
    at_once: int,
    previews_change: bool,
) -> Callable[[Request], object]:
    limiter = anyio.CapacityLimiter(at_once)

    def rendition(content_hash: str) -> Rendition:
        return rendering(searchable().browse)(content_hash)

    async def endpoint(request: Request) -> Response:
        content_hash = request.path_params["content_hash"]
        if not CONTENT_HASH.fullmatch(content_hash):
            return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
        try:
            rendered = await anyio.to_thread.run_sync(rendition, content_hash, limiter=limiter)
        except ClipSearchError:  # unknown, or it cannot be read now: the page says so where the picture would be
            return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
        headers = {"cache-control": cache_control(may_change=rendered.is_preview and previews_change)}
        return Response(rendered.jpeg, media_type="image/jpeg", headers=headers)

    return endpoint


def thumbnail_url(content_hash: str) -> str:
    """The small preview of a picture, for a grid."""
    return f"/thumbnail/{content_hash}"


def picture_url(content_hash: str) -> str:
    """A picture at the size of a screen."""
    return f"/picture/{content_hash}"
