"""Request ids, JSON request log and request metrics."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

from clipsearch.server.problem_details import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from clipsearch.server.metrics import Metrics

logger = logging.getLogger("clipsearch.server.requests")

ID_HEADER = "x-request-id"

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class JsonFormatter(logging.Formatter):
    """Formats log records as one line of ASCII JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The JSON line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content)


class RequestLog:
    """Assigns request ids, logs and counts every request, and answers unhandled exceptions.

    Query strings and bodies are private and not logged.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = _RequestRecord(scope)

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = record.id
            elif message["type"] == "http.response.body":
                record.bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        except Exception:
            logger.exception("request failed", extra={"fields": {"id": record.id}})
            if record.status is None:
                answer = problem(500, f"internal server error; see the server log for request ID {record.id}")
                await answer(scope, receive, observed_send)
        finally:
            self._log(scope, record)

    def _log(self, scope: Scope, record: _RequestRecord) -> None:
        seconds = time.perf_counter() - record.started
        status = record.status if record.status is not None else 499  # closed by the client
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.count_request(route=route, method=method, status=status, seconds=seconds)
        client = scope.get("client")
        fields = {
            "id": record.id,
            "method": method,
            "path": scope["path"],
            "status": status,
            "ms": round(1000 * seconds, 1),
            "bytes": record.bytes,
            "client": client[0] if client else None,
            "token": scope.get("state", {}).get("token"),
        }
        logger.info("request", extra={"fields": fields})


class _RequestRecord:
    """What is logged of a request."""

    def __init__(self, scope: Scope) -> None:
        request_id = Headers(scope=scope).get(ID_HEADER, "")
        self.id = request_id if _VALID_ID.fullmatch(request_id) else uuid.uuid4().hex
        self.started = time.perf_counter()
        self.status: int | None = None
        self.bytes = 0
