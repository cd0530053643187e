"""Routes that search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, UploadFile
from starlette.responses import Response

from clipsearch.errors import ConfigError
from clipsearch.media.box import Box
from clipsearch.server.picture_ids import details, not_found, without_paths
from clipsearch.server.responses import NOT_FOUND, PROBLEMS, WITH_BODY, AsciiJson, results_to_json, saved_to_json
from clipsearch.server.schemas import (
    Digits,
    MatchingRequest,
    PictureLikenessRequest,
    QueryLine,
    Results,
    SavedSearches,
    SearchParameters,
    SearchRequest,
)
from clipsearch.server.service import Needs, Service, Shared
from clipsearch.server.settings import MAX_PICTURES
from clipsearch.server.tokens import Scope
from clipsearch.server.uploads import picture_of_upload, query_with_uploads

_HASH_LENGTH = 32

router = APIRouter(prefix="/v1", tags=["search"], dependencies=[Depends(Needs(Scope.READ))], responses=PROBLEMS)


@router.get("/search", response_model=Results)
async def search_by_address(service: Shared, parameters: Annotated[SearchRequest, Query()]) -> Response:
    """Search by texts, pictures and filters."""
    return await service.searches.run(lambda: _search(service, parameters.query, parameters))


@router.post("/search", response_model=Results, responses=WITH_BODY)
async def search_by_body(service: Shared, parameters: SearchRequest) -> Response:
    """Search by texts, pictures and filters; the query is in no URL, and so in no log."""
    return await service.searches.run(lambda: _search(service, parameters.query, parameters))


@router.post("/search/pictures", response_model=Results, responses=WITH_BODY)
async def search_with_pictures(
    service: Shared,
    query: Annotated[QueryLine, Form()],
    images: Annotated[
        list[UploadFile],
        File(max_length=MAX_PICTURES, description="Pictures in any indexed format: ~1, ~2 and so on."),
    ],
    parameters: Annotated[MatchingRequest, Query()],
) -> Response:
    """Search by texts, filters and uploaded pictures, which are not stored."""
    uploads = [(image.filename or "", await image.read()) for image in images]

    def work() -> Response:
        with query_with_uploads(service.library, service.uploads, query, uploads) as line:
            return AsciiJson(results_to_json(service.library.search(line, parameters.options())))

    return await service.decodings.run(work)


@router.get("/pictures/{content_hash}/similar", response_model=Results, responses=NOT_FOUND)
async def similar_to_picture(
    service: Shared, content_hash: Annotated[Digits, Path()], parameters: Annotated[PictureLikenessRequest, Query()]
) -> Response:
    """Search by a picture of the library, or a part of it, without itself and its copies."""

    def work() -> Response:
        if len(content_hash) == _HASH_LENGTH:
            details(service.library, content_hash)
        box = Box.parse(parameters.box) if parameters.box is not None else None
        results = service.library.similar(f"~#{content_hash}", parameters.options(), box=box, at_s=parameters.at_s)
        return AsciiJson(results_to_json(results))

    return await (service.searches if parameters.box is None else service.decodings).run(work)


@router.post("/similar", response_model=Results, responses=WITH_BODY)
async def similar_to_upload(
    service: Shared,
    image: Annotated[UploadFile, File(description="A picture in any indexed format.")],
    parameters: Annotated[SearchParameters, Query()],
) -> Response:
    """Search by an uploaded picture, which is not stored."""
    content, name = await image.read(), image.filename or ""

    def work() -> Response:
        picture = picture_of_upload(service.library, service.uploads, content, name=name)
        return AsciiJson(results_to_json(service.library.similar(picture, parameters.options())))

    return await service.decodings.run(work)


@router.get("/saved", response_model=SavedSearches)
async def saved_searches(service: Shared) -> Response:
    """The saved searches."""
    return await service.pictures.run(lambda: AsciiJson(saved_to_json(service.library.saved.all())))


@router.get("/saved/{name:path}", response_model=Results, responses=NOT_FOUND)
async def saved_search(
    service: Shared,
    name: Annotated[str, Path(min_length=1, max_length=100)],
    parameters: Annotated[SearchParameters, Query()],
) -> Response:
    """Run a saved search."""

    def work() -> Response:
        try:
            line = service.library.saved.get(name).line
        except ConfigError as error:
            raise not_found() from error
        return _search(service, line, parameters)

    return await service.searches.run(work)


def _search(service: Service, line: str, parameters: SearchParameters) -> Response:
    without_paths(line)
    return AsciiJson(results_to_json(service.library.search(line, parameters.options())))
