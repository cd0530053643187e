"""Requests to a server of `clipsearch serve`, over connections that are kept, and what goes wrong in our words."""

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
"""The server ends what takes too long by itself."""

_CONNECTIONS = 16
"""Kept open at most; more than the page asks at the same time."""

_TRIES = 3
_LONGEST_WAIT_S = 2.0
"""A server that is asked for too much at once says when to try again; what takes longer is told."""

_PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes:
        status: of HTTP.
        content: the whole body.
        headers: by name, in lower case.
    """

    status: int
    content: bytes
    headers: Mapping[str, str]


class ServerConnection:
    """A server, and what lets one ask it. Safe to use from several threads."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        """Bind its address; nothing is sent yet.

        Args:
            url: ``http://`` or ``https://``, a name, and what comes before ``/v1`` if it is not at the top.
            token: sent with every request.

        Raises:
            ConfigError: the address is none, or the token cannot be sent.
        """
        self.url = _checked(url)
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ConfigError("the server's token has characters that no token has; give it as it was printed")
        self._token = token

    def close(self) -> None:
        """Give the connections back."""
        self._pool.clear()

    def get(self, path: str, parameters: Mapping[str, object] | None = None, *, may: Collection[int] = ()) -> Reply:
        """Ask for something.

        Args:
            path: below the server's address.
            parameters: of the query; ``None`` among them is left out.
            may: what it may answer besides 200.

        Raises:
            ConfigError: the server wants another token, or one with another scope.
            QueryError: what is asked for is wrong, or not there.
            LibraryError: the server cannot be reached, or cannot answer now.
        """
        return self._ask("GET", f"{path}{_encoded(parameters)}", may=may)

    def post(self, path: str, content: Mapping[str, object]) -> Reply:
        """Ask by an object of JSON; ``None`` in it is left out. Raises as `get`."""
        body = json.dumps({name: value for name, value in content.items() if value is not None}).encode("ascii")
        return self._ask("POST", path, body=body, headers={"content-type": "application/json"})

    def send(
        self,
        path: str,
        parameters: Mapping[str, object],
        *,
        fields: Mapping[str, str],
        files: Sequence[tuple[str, tuple[str, bytes]]],
    ) -> Reply:
        """Ask by a form with files: of each the field, its name and its content. Raises as `get`."""
        from urllib3.filepost import encode_multipart_formdata

        parts: list[tuple[str, Any]] = [*fields.items(), *files]
        body, kind = encode_multipart_formdata(parts)
        return self._ask("POST", f"{path}{_encoded(parameters)}", body=body, headers={"content-type": kind})

    @cached_property
    def _pool(self) -> PoolManager:
        from urllib3 import PoolManager, Timeout

        headers = {"user-agent": f"clipsearch/{__version__}", "accept": f"application/json, image/*, {_PROBLEM}"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        timeout = Timeout(connect=_CONNECT_LIMIT_S, read=_READ_LIMIT_S)
        return PoolManager(maxsize=_CONNECTIONS, headers=headers, timeout=timeout, retries=False)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        may: Collection[int] = (),
    ) -> Reply:
        for left in reversed(range(_TRIES)):
            response = self._send(method, path, body, headers or {})
            wait_s = _wait_s(response)
            if wait_s is None or not left:
                break
            time.sleep(wait_s)
        if response.status != 200 and response.status not in may:
            self._refuse(response)
        return Reply(response.status, response.data, {name.lower(): value for name, value in response.headers.items()})

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError

        try:
            # no redirection is followed: the token is for this server
            return self._pool.request(
                method, self.url + path, body=body, headers={**self._pool.headers, **headers}, redirect=False
            )
        except HTTPError as error:
            raise LibraryError(
                f"the server {self.url} cannot be reached ({_reason(error)}); check its address, and that it is up"
            ) from error

    def _refuse(self, response: BaseHTTPResponse) -> NoReturn:
        """Raise what a refusal means."""
        problem = _problem(response)
        if problem is None:
            raise LibraryError(
                f"{self.url} does not answer as clipsearch serve does (status {response.status}); check its address"
            )
        detail, position = str(problem.get("detail", "")), problem.get("position")
        if response.status == 401:
            what = "wants a token" if self._token is None else "does not know the token"
            raise ConfigError(f"the server {self.url} {what}; give one that it knows with --server-token-file FILE")
        if response.status == 403:
            raise ConfigError(f"the server {self.url} refuses: {detail}")
        if response.status in (400, 404, 408, 413, 422):
            at = position if isinstance(position, int) else None
            raise QueryError(detail if at is None else detail.removeprefix(f"column {at + 1}: "), position=at)
        raise LibraryError(f"the server {self.url} cannot answer now: {detail}")


def _checked(url: str) -> str:
    """An address without the slash at its end.

    Raises:
        ConfigError: it is none of a server, or has more than one needs.
    """
    usage = "a server is named by an address such as http://photos.example:8600"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"the server's address cannot be read: {error}; {usage}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"the server's address does not begin with http:// or https:// and a name; {usage}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"the server's address has no user, password, question or mark; {usage}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _encoded(parameters: Mapping[str, object] | None) -> str:
    values = {name: value for name, value in (parameters or {}).items() if value is not None}
    return f"?{urlencode(values)}" if values else ""


def _wait_s(response: BaseHTTPResponse) -> float | None:
    """When to try again; ``None`` if that helps nothing, or is too late."""
    after = response.headers.get("retry-after", "")
    if response.status not in (429, 503) or not after.isdecimal() or int(after) > _LONGEST_WAIT_S:
        return None
    return float(after)


def _problem(response: BaseHTTPResponse) -> dict[str, Any] | None:
    """The problem details of an answer; ``None`` if it has none, and so is of no such server."""
    if not response.headers.get("content-type", "").startswith(_PROBLEM):
        return None
    try:
        details = json.loads(response.data)
    except ValueError:
        return None
    return details if isinstance(details, dict) else None


def _reason(error: Exception) -> str:
    """The first cause in a few words."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
