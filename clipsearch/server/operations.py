"""Operational routes: health, readiness, metrics, status and facets."""

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

_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Readiness, "description": "Not ready."}}
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {}}, "description": "Metrics in Prometheus's text format."}
}

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Health)
async def health() -> Response:
    """Liveness probe."""
    return AsciiJson({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses=_NOT_READY)
async def readiness(service: Shared) -> Response:
    """Readiness probe: whether catalog, model and index can answer searches."""
    state = await service.readiness.check()
    return AsciiJson({"ready": state.ready, "checks": state.checks}, status_code=200 if state.ready else 503)


@router.get("/metrics", response_class=Response, responses={**PROBLEMS, **_METRICS})
async def metrics(service: Shared, _: None = Depends(Needs(Scope.METRICS))) -> Response:
    """Prometheus metrics."""

    def work() -> Response:
        counts = service.library.counts()
        service.metrics.set_library(
            files=counts.files,
            pictures=counts.images,
            failures=counts.failures,
            revision=service.library.revision(),
        )
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return await service.pictures.run(work)


@router.get("/v1/status", response_model=Status, responses=PROBLEMS, dependencies=[Depends(Needs(Scope.READ))])
async def status(service: Shared) -> Response:
    """Counts, model and folders of the library."""
    return await service.pictures.run(lambda: AsciiJson(status_to_json(service.library)))


@router.get("/v1/facets", response_model=LibraryFacets, responses=PROBLEMS, dependencies=[Depends(Needs(Scope.READ))])
async def facets(service: Shared, parameters: Annotated[FacetsRequest, Query()]) -> Response:
    """Counts of the months, cameras, folders and other values of files."""
    return await service.searches.run(lambda: AsciiJson(asdict(service.library.browse.facets(parameters.query))))
