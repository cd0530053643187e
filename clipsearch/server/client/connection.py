"""HTTP requests to `clipsearch serve` over pooled connections, with errors translated to `ClipSearchError`."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode, urlsplit

from clipsearch._version import __version__
from clipsearch.errors import ConfigError, LibraryError, QueryError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_CONNECT_LIMIT_S = 10.0
_READ_LIMIT_S = 120.0
"""Above the server's own time limit."""

_CONNECTIONS = 16
"""Pool size; more than the web page uses concurrently."""

_TRIES = 3
_MAX_WAIT_S = 2.0
"""Maximum `Retry-After` to wait for; a longer one is an error."""

_PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Reply:
    """An HTTP response.

    Attributes:
        status: HTTP status.
        content: the body.
        headers: by lower-case name.
    """

    status: int
    content: bytes
    headers: Mapping[str, str]


class ServerConnection:
    """A connection pool for one server. Thread-safe."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        """Bind the URL; nothing is sent yet.

        Args:
            url: base URL, without ``/v1``.
            token: sent with every request.

        Raises:
            ConfigError: the URL or the token is invalid.
        """
        self.url = _checked(url)
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ConfigError("the server's token has invalid characters; copy it exactly as printed")
        self._token = token

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def get(self, path: str, parameters: Mapping[str, object] | None = None, *, accept: Collection[int] = ()) -> Reply:
        """Send a GET request.

        Args:
            path: below the base URL.
            parameters: of the query; ``None`` values are omitted.
            accept: accepted statuses besides 200.

        Raises:
            ConfigError: the token is missing, unknown, or lacks a scope.
            QueryError: the request is invalid, or its target does not exist.
            LibraryError: the server cannot be reached, or cannot answer now.
        """
        return self._request("GET", f"{path}{_encoded(parameters)}", accept=accept)

    def post(self, path: str, content: Mapping[str, object]) -> Reply:
        """Send a JSON object; ``None`` values are omitted. Raises as `get`."""
        body = json.dumps({name: value for name, value in content.items() if value is not None}).encode("ascii")
        return self._request("POST", path, body=body, headers={"content-type": "application/json"})

    def post_form(
        self,
        path: str,
        parameters: Mapping[str, object],
        *,
        fields: Mapping[str, str],
        files: Sequence[tuple[str, tuple[str, bytes]]],
    ) -> Reply:
        """Send a multipart form; each file is a field with name and content. Raises as `get`."""
        from urllib3.filepost import encode_multipart_formdata

        parts: list[tuple[str, Any]] = [*fields.items(), *files]
        body, kind = encode_multipart_formdata(parts)
        return self._request("POST", f"{path}{_encoded(parameters)}", body=body, headers={"content-type": kind})

    @cached_property
    def _pool(self) -> PoolManager:
        from urllib3 import PoolManager, Timeout

        headers = {"user-agent": f"clipsearch/{__version__}", "accept": f"application/json, image/*, {_PROBLEM}"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        timeout = Timeout(connect=_CONNECT_LIMIT_S, read=_READ_LIMIT_S)
        return PoolManager(maxsize=_CONNECTIONS, headers=headers, timeout=timeout, retries=False)

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Reply:
        for retries_left in reversed(range(_TRIES)):
            response = self._send(method, path, body, headers or {})
            wait_s = _wait_s(response)
            if wait_s is None or not retries_left:
                break
            time.sleep(wait_s)
        if response.status != 200 and response.status not in accept:
            self._raise(response)
        return Reply(response.status, response.data, {name.lower(): value for name, value in response.headers.items()})

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError

        try:
            # redirects are not followed: the token is for this server
            return self._pool.request(
                method, self.url + path, body=body, headers={**self._pool.headers, **headers}, redirect=False
            )
        except HTTPError as error:
            raise LibraryError(
                f"the server {self.url} cannot be reached ({_reason(error)}); check the URL, and start the server"
            ) from error

    def _raise(self, response: BaseHTTPResponse) -> NoReturn:
        """Translate an error response."""
        problem = _problem(response)
        if problem is None:
            raise LibraryError(
                f"{self.url} does not respond like clipsearch serve (status {response.status}); check the URL"
            )
        detail, position = str(problem.get("detail", "")), problem.get("position")
        if response.status == 401:
            what = "requires a token" if self._token is None else "does not accept the token"
            raise ConfigError(f"the server {self.url} {what}; pass a valid one with --server-token-file FILE")
        if response.status == 403:
            raise ConfigError(f"the server {self.url} refused the request: {detail}")
        if response.status in (400, 404, 408, 413, 422):
            if not isinstance(position, int):
                raise QueryError(detail)
            raise QueryError(detail.removeprefix(f"column {position + 1}: "), position=position)
        raise LibraryError(f"the server {self.url} cannot answer now: {detail}")


def _checked(url: str) -> str:
    """Validate a base URL and remove a trailing slash.

    Raises:
        ConfigError: the URL is invalid.
    """
    usage = "use a URL such as http://photos.example:8600"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"invalid server URL: {error}; {usage}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"the server URL must begin with http:// or https:// and a host name; {usage}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"the server URL must not have a user, password, query or fragment; {usage}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _encoded(parameters: Mapping[str, object] | None) -> str:
    values = {name: value for name, value in (parameters or {}).items() if value is not None}
    return f"?{urlencode(values)}" if values else ""


def _wait_s(response: BaseHTTPResponse) -> float | None:
    """Seconds until a retry; ``None`` if a retry is useless or too late."""
    after = response.headers.get("retry-after", "")
    if response.status not in (429, 503) or not after.isdecimal() or int(after) > _MAX_WAIT_S:
        return None
    return float(after)


def _problem(response: BaseHTTPResponse) -> dict[str, Any] | None:
    """The problem details of a response; ``None`` if it is not of clipsearch serve."""
    if not response.headers.get("content-type", "").startswith(_PROBLEM):
        return None
    try:
        details = json.loads(response.data)
    except ValueError:
        return None
    return details if isinstance(details, dict) else None


def _reason(error: Exception) -> str:
    """The root cause in a few words."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
