"""What all requests of one server share."""

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
    """The library, and the threads that work with it.

    Attributes:
        library: that is served, open; safe to use from several threads.
        uploads: decodes what clients bring.
        limits: what is taken on.
        metrics: what is counted.
        searches: threads that search.
        pictures: threads that read previews and what is known of pictures.
        decodings: threads that decode pictures.
        readiness: knows whether searches can be answered.
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
        """Load what the first requests would wait for: the model, the index, and what reads the catalog."""
        await asyncio.gather(self.readiness.check(), self.pictures.run(self.library.counts), return_exceptions=True)

    def close(self) -> None:
        """Begin nothing more; the library stays open."""
        self.readiness.close()
        for lane in (self.searches, self.pictures, self.decodings):
            lane.close()
        self.uploads.close()


def service_of(request: Request) -> Service:
    """What the request's server shares."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


Shared = Annotated[Service, Depends(service_of)]

_described = HTTPBearer(auto_error=False, description="A token made by: clipsearch serve token add NAME")
"""For the OpenAPI document only: the token has been looked at long before."""


class Needs:
    """Lets a request pass whose token opens a scope."""

    def __init__(self, scope: Scope) -> None:
        """Bind the scope."""
        self._scope = scope

    def __call__(self, request: Request, _: Annotated[object, Depends(_described)]) -> None:
        """Refuse a request without the scope."""
        if self._scope in request.scope["state"]["scopes"]:
            return
        if self._scope == Scope.ORIGINALS and request.scope["state"]["token"] is None:
            detail = "files as they are need a token with the scope originals"
        else:
            detail = f"the token does not have the scope {self._scope}"
        headers = {"www-authenticate": f'{REALM}, error="insufficient_scope", scope="{self._scope}"'}
        raise HTTPException(403, detail, headers=headers)
