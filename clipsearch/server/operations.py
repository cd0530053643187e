"""The routes for those who run the server: is it there, is it ready, what does it hold, how is it doing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from clipsearch.server.metrics import CONTENT_TYPE
from clipsearch.server.responses import PROBLEMS, AsciiJson, status_to_json
from clipsearch.server.schemas import FacetsRequest, Health, LibraryFacets, Readiness, Status
from clipsearch.server.service import Needs, Shared
from clipsearch.server.tokens import Scope

_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Readiness, "description": "Not yet, or not now."}}
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {}}, "description": "Metrics in Prometheus's text format."}
}

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Health)
async def health() -> Response:
    """Whether the server is there; for what restarts it when it is not."""
    return AsciiJson({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses=_NOT_READY)
async def readiness(service: Shared) -> Response:
    """Whether searches can be answered: the catalog opens, the model is loaded, the index is current."""
    state = await service.readiness.check()
    return AsciiJson({"ready": state.ready, "checks": state.checks}, status_code=200 if state.ready else 503)


@router.get("/metrics", response_class=Response, responses={**PROBLEMS, **_METRICS})
async def metrics(service: Shared, _: None = Depends(Needs(Scope.METRICS))) -> Response:
    """What Prometheus asks for."""

    def work() -> Response:
        counts = service.library.counts()
        service.metrics.tell_library(
            files=counts.files,
            pictures=counts.images,
            failures=counts.failures,
            revision=service.library.revision(),
        )
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return await service.pictures.run(work)


@router.get("/v1/status", response_model=Status, responses=PROBLEMS, dependencies=[Depends(Needs(Scope.READ))])
async def status(service: Shared) -> Response:
    """What the library holds."""
    return await service.pictures.run(lambda: AsciiJson(status_to_json(service.library)))


@router.get("/v1/facets", response_model=LibraryFacets, responses=PROBLEMS, dependencies=[Depends(Needs(Scope.READ))])
async def facets(service: Shared, parameters: Annotated[FacetsRequest, Query()]) -> Response:
    """What files have in common: months, cameras, folders and more, counted."""

    return await service.searches.run(lambda: AsciiJson(asdict(service.library.browse.facets(parameters.query))))
