"""State shared by all requests of a server, and authorization by scope."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from clipsearch.server.metrics import Metrics
from clipsearch.server.middleware import REALM
from clipsearch.server.readiness import ReadinessProbe
from clipsearch.server.tokens import Scope
from clipsearch.server.worker_pool import WorkerPool

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.media.uploads import UploadReader
    from clipsearch.server.settings import Limits


@dataclass
class Service:
    """The library and its worker pools.

    Attributes:
        library: open, thread-safe.
        uploads: decodes uploads.
        limits: of the server.
        metrics: of the server.
        searches: workers that search.
        pictures: workers that read previews and details.
        decodings: workers that decode pictures.
        readiness: probes the library.
    """

    library: Library
    uploads: UploadReader
    limits: Limits
    metrics: Metrics
    searches: WorkerPool = field(init=False)
    pictures: WorkerPool = field(init=False)
    decodings: WorkerPool = field(init=False)
    readiness: ReadinessProbe = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self.searches = WorkerPool("searches", threads=limits.searches_at_once, waiting=limits.waiting)
        self.pictures = WorkerPool("pictures", threads=limits.pictures_at_once, waiting=limits.waiting)
        self.decodings = WorkerPool("decodings", threads=limits.decodings_at_once, waiting=limits.waiting)
        self.metrics.watch([self.searches, self.pictures, self.decodings])
        self.readiness = ReadinessProbe(self.library)

    async def warm_up(self) -> None:
        """Load model, index and catalog before the first request."""
        await asyncio.gather(self.readiness.check(), self.pictures.run(self.library.counts), return_exceptions=True)

    def close(self) -> None:
        """Stop the workers; the library stays open."""
        self.readiness.close()
        for pool in (self.searches, self.pictures, self.decodings):
            pool.close()
        self.uploads.close()


def service_of(request: Request) -> Service:
    """The service of a request's server."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


Shared = Annotated[Service, Depends(service_of)]

_bearer = HTTPBearer(auto_error=False, description="A token made by: clipsearch serve token add NAME")
"""Only for the OpenAPI document; `clipsearch.server.middleware.Access` verifies the token."""


class Needs:
    """Dependency that requires a scope."""

    def __init__(self, scope: Scope) -> None:
        """Bind the scope."""
        self._scope = scope

    def __call__(self, request: Request, _: Annotated[object, Depends(_bearer)]) -> None:
        """Refuse a request without the scope."""
        if self._scope in request.scope["state"]["scopes"]:
            return
        if self._scope == Scope.ORIGINALS and request.scope["state"]["token"] is None:
            detail = "original files need a token with the scope originals"
        else:
            detail = f"the token lacks the scope {self._scope}"
        headers = {"www-authenticate": f'{REALM}, error="insufficient_scope", scope="{self._scope}"'}
        raise HTTPException(403, detail, headers=headers)
