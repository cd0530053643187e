"""Fewer malloc arenas for the server.

glibc allocates up to eight arenas per core for concurrent threads and does not share freed memory between them. Half of
the server's memory growth after its first requests came from that.
"""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8
"""``malloc.h`` of the GNU C library."""

ARENAS = 2
"""More gain nothing: searches hold the GIL while they allocate small objects."""


def use_few_arenas() -> bool:
    """Limit glibc to `ARENAS` arenas; call before threads start. ``MALLOC_ARENA_MAX`` takes precedence.

    Returns:
        Whether the limit was set; always False with other C libraries.
    """
    if "MALLOC_ARENA_MAX" in os.environ or not _is_glibc():
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, others have no such name
        return False
