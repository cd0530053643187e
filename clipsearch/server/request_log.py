"""One line of JSON for each request, and its number everywhere: in the log, in the answer and in the metrics."""

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

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class JsonFormatter(logging.Formatter):
    """Writes each record as one line of JSON, ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
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
    """Numbers, times, counts and logs every request; and answers where the application has failed to.

    What was looked for is not logged: neither query strings nor bodies.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(scope)

        async def send_and_see(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = seen.id
            elif message["type"] == "http.response.body":
                seen.bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        except Exception:
            logger.exception("request failed", extra={"fields": {"id": seen.id}})
            if seen.status is None:
                answer = problem(500, "the server has made a mistake; its log says more under this request's id")
                await answer(scope, receive, send_and_see)
        finally:
            self._tell(scope, seen)

    def _tell(self, scope: Scope, seen: _Seen) -> None:
        seconds = time.perf_counter() - seen.started
        # whoever hangs up before there is an answer gets none
        status = seen.status if seen.status is not None else 499
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.count_request(route=route, method=method, status=status, seconds=seconds)
        client = scope.get("client")
        fields = {
            "id": seen.id,
            "method": method,
            "path": scope["path"],
            "status": status,
            "ms": round(1000 * seconds, 1),
            "bytes": seen.bytes,
            "client": client[0] if client else None,
            "token": scope.get("state", {}).get("token"),
        }
        logger.info("request", extra={"fields": fields})


class _Seen:
    """What was seen of a request so far."""

    def __init__(self, scope: Scope) -> None:
        request_id = Headers(scope=scope).get(ID_HEADER, "")
        self.id = request_id if _GIVEN_ID.fullmatch(request_id) else uuid.uuid4().hex
        self.started = time.perf_counter()
        self.status: int | None = None
        self.bytes = 0
