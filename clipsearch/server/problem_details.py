"""Error responses as JSON problem details.

Source: RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from clipsearch.errors import ClipSearchError, ImageReadError, QueryError
from clipsearch.server.worker_pool import QueueFullError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

BUSY_RETRY_S = 1


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """Create an error response.

    Args:
        status: HTTP status.
        detail: one line that a user can act on.
        headers: additional headers.
        members: additional members of the object.
    """
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return Response(json.dumps(content), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Answer all errors of an application with problem details."""
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(QueueFullError, _of_full_queue)
    app.add_exception_handler(ClipSearchError, _of_library)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _of_validation(request: Request, error: Exception) -> Response:
    """Message and location of each error, without the input."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in item["loc"]), "what": str(item["msg"])} for item in error.errors()
    ]
    detail = "; ".join(f"{item['where']}: {item['what']}" for item in errors)
    return problem(422, detail, errors=errors)


async def _of_full_queue(request: Request, error: Exception) -> Response:
    headers = {"retry-after": str(BUSY_RETRY_S)}
    return problem(503, "the server is overloaded; retry in a moment", headers=headers)


async def _of_library(request: Request, error: Exception) -> Response:
    """Report errors in the query; log others, which may contain paths of the server."""
    if isinstance(error, QueryError):
        members: dict[str, Any] = {"position": error.position} if error.position is not None else {}
        return problem(422, str(error), **members)
    if isinstance(error, ImageReadError):
        return problem(422, f"cannot read the picture: {error.reason}")
    logger.error("%s: %s", type(error).__name__, error)
    return problem(503, "the library cannot be searched now; see the server log")
