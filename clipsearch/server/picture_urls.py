"""How pictures are named in addresses, and how long browsers may keep them."""

from __future__ import annotations

import re

CONTENT_HASH = re.compile("[0-9a-f]{32}")
"""What names a picture, and nothing else does: no path ever reaches the disk."""

_FOR_EVER = "private, max-age=31536000, immutable"
"""What an address stands for never changes: it is named by its content."""

_AT_ONCE_STALE = "private, no-cache"
"""For what is only shown until the picture itself can be read again."""


def cache_control(*, may_change: bool) -> str:
    """How a picture may be kept.

    Args:
        may_change: a small preview stands in for it, until its drive is there again.
    """
    return _AT_ONCE_STALE if may_change else _FOR_EVER
