"""URLs of pictures and the routes that serve them: by content hash, re-encoded; of videos also the file itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import anyio
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from clipsearch.errors import ClipSearchError, ImageReadError
from clipsearch.server.picture_ids import CONTENT_HASH, cache_control
from ui import strings
from ui.shared import library, remote_library, searchable

if TYPE_CHECKING:
    from starlette.requests import Request

    from clipsearch.browse.display_images import Rendition
    from clipsearch.library_parts.protocol import BrowsableLibrary

_DECODED_AT_ONCE = 2
"""Decoding a picture may take a gigabyte of memory."""

_READ_AT_ONCE = 8

_VIDEO_TYPES = {
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".ogv": "video/ogg",
}
"""Types of files that browsers do not play as MP4."""


def picture_routes() -> list[Route]:
    """The routes ``/thumbnail/HASH``, ``/picture/HASH``, ``/frame/SECONDS/HASH`` and ``/video/HASH``."""
    return [
        # :path matches slashes, too, so that no other route handles them
        Route(
            "/thumbnail/{content_hash:path}",
            _endpoint(lambda browse: browse.preview, at_once=_READ_AT_ONCE, previews_change=False),
        ),
        Route(
            "/picture/{content_hash:path}",
            _endpoint(lambda browse: browse.large_view, at_once=_DECODED_AT_ONCE, previews_change=True),
        ),
        Route("/frame/{at_s:float}/{content_hash:path}", _frame),
        Route("/video/{content_hash:path}", _video),
    ]


_frames_at_once = cache(lambda: anyio.CapacityLimiter(_DECODED_AT_ONCE))


async def _frame(request: Request) -> Response:
    """The preview of a video's frame, or that of the video."""
    content_hash, at_s = request.path_params["content_hash"], request.path_params["at_s"]
    if not CONTENT_HASH.fullmatch(content_hash) or remote_library() is not None:
        return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)

    def rendered() -> Rendition:
        try:
            return library().browse.frame(content_hash, at_s)
        except ImageReadError:
            return library().browse.preview(content_hash)

    try:
        rendition = await anyio.to_thread.run_sync(rendered, limiter=_frames_at_once())
    except ClipSearchError:
        return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
    headers = {"cache-control": cache_control(may_change=False)}
    return Response(rendition.jpeg, media_type="image/jpeg", headers=headers)


async def _video(request: Request) -> Response:
    """The file of a video, or the range of it that is asked for: browsers play no other form."""
    content_hash = request.path_params["content_hash"]
    if not CONTENT_HASH.fullmatch(content_hash) or remote_library() is not None:
        return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
    try:
        details = await anyio.to_thread.run_sync(library().browse.picture, content_hash)
    except ClipSearchError:
        return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
    path = details.original
    if details.duration_s is None or path is None or not path.is_file():
        return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
    headers = {"cache-control": cache_control(may_change=True)}
    return FileResponse(path, media_type=_VIDEO_TYPES.get(path.suffix.lower(), "video/mp4"), headers=headers)


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
        except ClipSearchError:  # the page shows a placeholder
            return PlainTextResponse(strings.NO_SUCH_PICTURE, status_code=404)
        headers = {"cache-control": cache_control(may_change=rendered.is_preview and previews_change)}
        return Response(rendered.jpeg, media_type="image/jpeg", headers=headers)

    return endpoint


def thumbnail_url(content_hash: str) -> str:
    """The URL of the preview."""
    return f"/thumbnail/{content_hash}"


def frame_url(content_hash: str, at_s: float) -> str:
    """The URL of the preview of a video's frame."""
    return f"/frame/{at_s:.3f}/{content_hash}"


def video_url(content_hash: str) -> str:
    """The URL that plays a video."""
    return f"/video/{content_hash}"


def picture_url(content_hash: str) -> str:
    """The URL of the screen-sized picture."""
    return f"/picture/{content_hash}"
