"""How much each client may ask for: a token bucket each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from clipsearch.server.settings import BURST_S

_MOST_CLIENTS = 10_000
"""Clients that are remembered; of more, the one that was quiet for longest is forgotten, which lets it ask anew."""


class RateLimiter:
    """Counts requests by client. For one event loop: not safe in threads."""

    def __init__(self, requests_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the rate, 0 for no limit."""
        self._rate = requests_per_s
        self._most = max(1.0, requests_per_s * BURST_S)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Count a request.

        Returns:
            0 if it may be answered; otherwise the seconds after which the next one may.
        """
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        left, since = self._left.pop(client, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        allowed = left >= 1.0
        self._left[client] = (left - 1.0 if allowed else left, now)
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._rate
