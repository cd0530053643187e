"""The routes that serve pictures: by content hash, of the library that is shown, never a file as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clipsearch.errors import ClipSearchError
from clipsearch.web.pictures import CONTENT_HASH, cache_control
from ui import strings
from ui.shared import library, remote_library

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from clipsearch.details import PictureDetails
    from clipsearch.remote.library import RemoteLibrary
    from clipsearch.renditions import Rendition

_DECODED_AT_ONCE = 2
"""A picture may take a gigabyte while it is decoded."""

_READ_AT_ONCE = 8


def picture_routes() -> list[Route]:
    """The routes ``/thumbnail/HASH`` and ``/picture/HASH``."""
    from clipsearch.remote.library import RemoteLibrary
    from clipsearch.renditions import large_view, preview

    return [
        # a path, so that nothing below is left to others
        Route(
            "/thumbnail/{content_hash:path}",
            _endpoint(preview, RemoteLibrary.preview, at_once=_READ_AT_ONCE, previews_change=False),
        ),
        Route(
            "/picture/{content_hash:path}",
            _endpoint(large_view, RemoteLibrary.large_view, at_once=_DECODED_AT_ONCE, previews_change=True),
        ),
    ]


def _endpoint(
    render: Callable[[Path, PictureDetails], Rendition],
    from_server: Callable[[RemoteLibrary, str], Rendition],
    *,
    at_once: int,
    previews_change: bool,
) -> Callable[[Request], object]:
    limiter = anyio.CapacityLimiter(at_once)

    def rendition(content_hash: str) -> Rendition:
        remote = remote_library()
        if remote is not None:
            return from_server(remote, content_hash)
        shown = library()
        return render(shown.path, shown.picture(content_hash))

    async def endpoint(request: Request) -> Response:
        content_hash = request.path_params["content_hash"]
        if not CONTENT_HASH.fullmatch(content_hash):
            return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
        try:
            found = await anyio.to_thread.run_sync(rendition, content_hash, limiter=limiter)
        except ClipSearchError:  # unknown, or it cannot be read now: the page says so where the picture would be
            return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
        headers = {"cache-control": cache_control(may_change=found.is_preview and previews_change)}
        return Response(found.jpeg, media_type="image/jpeg", headers=headers)

    return endpoint
