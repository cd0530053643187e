"""Routes of pictures, by content hash."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path
from starlette.responses import FileResponse, Response

from clipsearch.errors import ImageReadError, QueryError
from clipsearch.media.box import Box
from clipsearch.media.thumbnails import thumbnail_jpeg
from clipsearch.query import ImageTerm
from clipsearch.retrieval.saliency import PICTURE_SIDE
from clipsearch.retrieval.source_files import open_original
from clipsearch.server.picture_ids import cache_control, details, not_found, without_paths
from clipsearch.server.responses import NOT_FOUND, PROBLEMS, WITH_BODY, AsciiJson, picture_to_json, versions_to_json
from clipsearch.server.schemas import ExplanationRequest, Hash, Picture, Versions
from clipsearch.server.service import Needs, Shared
from clipsearch.server.tokens import Scope

if TYPE_CHECKING:
    from clipsearch.browse.display_images import Rendition
    from clipsearch.library import Library
    from clipsearch.retrieval.saliency import Explanation

PREVIEW_HEADER = "x-from-preview"
"""Set if the preview was used because the file is not available."""

_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}}
_ANY_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The original file."}
}

router = APIRouter(prefix="/v1", tags=["pictures"], responses={**PROBLEMS, **NOT_FOUND})


@router.get("/pictures/{content_hash}", response_model=Picture, dependencies=[Depends(Needs(Scope.READ))])
async def picture(service: Shared, content_hash: Annotated[Hash, Path()]) -> Response:
    """Files, metadata and tags of a picture."""
    return await service.pictures.run(lambda: AsciiJson(picture_to_json(details(service.library, content_hash))))


@router.get(
    "/thumbnails/{content_hash}",
    response_class=Response,
    responses=_JPEG,
    dependencies=[Depends(Needs(Scope.READ))],
)
async def thumbnail(service: Shared, content_hash: Annotated[Hash, Path()]) -> Response:
    """A small preview, without metadata."""
    return await service.pictures.run(lambda: _rendered(service.library.browse.preview, content_hash, may_change=False))


@router.get(
    "/images/{content_hash}",
    response_class=Response,
    responses=_JPEG,
    dependencies=[Depends(Needs(Scope.IMAGES))],
)
async def image(service: Shared, content_hash: Annotated[Hash, Path()]) -> Response:
    """A screen-sized picture without metadata; its preview while its drive is offline."""
    return await service.decodings.run(
        lambda: _rendered(service.library.browse.large_view, content_hash, may_change=True)
    )


@router.get("/pictures/{content_hash}/versions", response_model=Versions, dependencies=[Depends(Needs(Scope.READ))])
async def versions(service: Shared, content_hash: Annotated[Hash, Path()]) -> Response:
    """Files with another version of a picture: re-saved, resized, lightly cropped or edited."""

    def work() -> Response:
        details(service.library, content_hash)
        return AsciiJson(versions_to_json(service.library.duplicates.versions_of(content_hash)))

    return await service.searches.run(work)


@router.post(
    "/pictures/{content_hash}/explanation",
    response_class=Response,
    responses={**_JPEG, **WITH_BODY},
    dependencies=[Depends(Needs(Scope.IMAGES))],
)
async def explanation(service: Shared, content_hash: Annotated[Hash, Path()], body: ExplanationRequest) -> Response:
    """Saliency overlay of a picture for a query; takes as long as embedding 90 pictures."""

    def work() -> Response:
        details(service.library, content_hash)
        saliency = _explanation(service.library, content_hash, body)
        jpeg = thumbnail_jpeg(saliency.overlay(), longest_side=PICTURE_SIDE)
        headers = {PREVIEW_HEADER: "1"} if saliency.from_preview else {}
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    return await service.decodings.run(work)


@router.get(
    "/originals/{content_hash}",
    response_class=Response,
    responses=_ANY_FILE,
    dependencies=[Depends(Needs(Scope.ORIGINALS))],
)
async def original(service: Shared, content_hash: Annotated[Hash, Path()]) -> Response:
    """The original file with its metadata, a photo verified by its content hash; of a video a range, if asked for."""

    def work() -> Response:
        files = details(service.library, content_hash).files
        try:
            file = open_original(files)
        except ImageReadError as error:
            raise not_found() from error
        headers = {
            "cache-control": cache_control(may_change=False),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(os.fsencode(file.path.name))}",
        }
        if file.content is None:
            return FileResponse(file.path, media_type="application/octet-stream", headers=headers)
        return Response(file.content, media_type="application/octet-stream", headers=headers)

    return await service.decodings.run(work)


def _explanation(library: Library, content_hash: str, body: ExplanationRequest) -> Explanation:
    query = without_paths(body.query)
    if body.box is None:
        return library.explain(f"~#{content_hash}", body.query)
    term = query.terms[0] if len(query.terms) == 1 else None
    if not isinstance(term, ImageTerm):
        raise QueryError("box needs a query of exactly one picture")
    return library.explain(f"~#{content_hash}", like=f"~{term.reference}", box=Box.parse(body.box))


def _rendered(render: Callable[[str], Rendition], content_hash: str, *, may_change: bool) -> Response:
    try:
        rendition = render(content_hash)
    except (QueryError, ImageReadError) as error:  # unknown, or offline without a preview
        raise not_found() from error
    headers = {"cache-control": cache_control(may_change=rendition.is_preview and may_change)}
    return Response(rendition.jpeg, media_type="image/jpeg", headers=headers)
