"""Settings and limits of the server."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8600

MAX_RESULTS = 500
"""Maximum results of one response."""

MAX_OFFSET = 10_000
"""Maximum offset; use filters to find results beyond it."""

MAX_QUERY_LENGTH = 2_000
"""Maximum characters of a query line."""

MAX_BOX_LENGTH = 100
"""Maximum characters of a box."""

MAX_PICTURES = 8
"""Maximum uploaded pictures of a search."""

MAX_JSON_BYTES = 64 * 2**10
"""Maximum size of a request without uploads."""

BURST_S = 5.0
"""Burst size of the rate limit, in seconds of the rate."""


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        upload_mib: maximum size of an uploaded picture, in MiB.
        requests_per_s: sustained rate of one client; 0 for no limit.
        time_limit_s: maximum seconds of a request.
        searches_at_once: concurrent searches; more than processors, so that texts can be batched.
        pictures_at_once: concurrent reads of previews.
        decodings_at_once: concurrent decodings, each of up to a gigabyte of memory.
        waiting: maximum queued requests of each of these kinds.
    """

    upload_mib: int = 32
    requests_per_s: float = 50.0
    time_limit_s: float = 30.0
    searches_at_once: int = 16
    pictures_at_once: int = 8
    decodings_at_once: int = 2
    waiting: int = 128


@dataclass(frozen=True)
class ServeSettings:
    """Settings of a server.

    Attributes:
        address: to bind to.
        port: 0 for any free port.
        limits: of the server.
    """

    address: str = DEFAULT_ADDRESS
    port: int = DEFAULT_PORT
    limits: Limits = field(default_factory=Limits)
