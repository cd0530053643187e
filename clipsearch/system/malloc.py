"""Keeping the server's memory from creeping up.

The GNU C library gives threads that allocate at the same time heaps of their own ("arenas"), up to eight for each
processor, and what is freed in one stays with it. A server whose searches go through many threads fills one after the
other, for minutes: measured, half of what it took on after its first requests was that.
"""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8
"""``malloc.h`` of the GNU C library."""

ARENAS = 2
"""Searches hold Python's lock while they allocate small things, so that more gains nothing."""


def use_few_arenas() -> bool:
    """Have the C library share its arenas between threads; only before they are started.

    What the user has set (``MALLOC_ARENA_MAX``) stays.

    Returns:
        Whether it was done: not with another C library than GNU's, where there is nothing to do.
    """
    if "MALLOC_ARENA_MAX" in os.environ or not _is_glibc():
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))


def _is_glibc() -> bool:
    """Whether the process runs on the GNU C library."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, others have no such name
        return False
