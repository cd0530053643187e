"""Paths as the text that the catalog holds, also where a name is not UTF-8.

Python stands for an undecodable byte with a lone surrogate, which no database takes. Such a byte is stored as ``//``
and its two hex digits; ``//`` cannot occur in the paths stored here, so nothing is lost.
"""

from __future__ import annotations

import re


def path_to_text(path: str) -> str:
    """A path in the form that the catalog holds."""
    if path.isascii():
        return path
    return re.sub("[\udc80-\udcff]", lambda match: f"//{ord(match[0]) - 0xDC00:02x}", path)


def text_to_path(text: str) -> str:
    """A path from the form that the catalog holds."""
    if "//" not in text:
        return text
    return re.sub("//([0-9a-f]{2})", lambda match: chr(0xDC00 + int(match[1], 16)), text)
