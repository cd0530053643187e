"""How the library is served: where, to whom, and how much of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8600

MAX_RESULTS = 500
"""Results of one answer at most."""

MAX_OFFSET = 10_000
"""Results that can be passed over at most: what is that far down is found by a filter."""

MAX_QUERY_LENGTH = 2_000
"""Characters of a query line at most."""

MAX_BOX_LENGTH = 100
"""Characters of a part of a picture at most."""

MAX_PICTURES = 8
"""Pictures that a search may bring at most."""

MAX_JSON_BYTES = 64 * 2**10
"""Size of a request that brings no picture."""

BURST_S = 5.0
"""A client that was quiet may ask for as much at once as otherwise in so many seconds."""


@dataclass(frozen=True)
class Limits:
    """What one server takes on.

    Attributes:
        upload_mib: largest picture that is taken, in MiB.
        requests_per_s: of one client, in the long run; 0 for no limit.
        time_limit_s: seconds that a request may take.
        searches_at_once: as many work at the same time; where texts are embedded together, more than there are
            processors.
        pictures_at_once: previews that are read at the same time.
        decodings_at_once: pictures that are decoded at the same time, each of which may take a gigabyte.
        waiting: requests of each of these kinds that may wait for their turn.
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
    """Where the library is served.

    Attributes:
        address: what to bind to.
        port: on which port; 0 for any that is free.
        limits: what the server takes on.
    """

    address: str = DEFAULT_ADDRESS
    port: int = DEFAULT_PORT
    limits: Limits = field(default_factory=Limits)
