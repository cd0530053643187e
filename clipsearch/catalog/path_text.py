"""Lossless encoding of paths that are not UTF-8 as text.

Python represents an undecodable byte as a lone surrogate, which databases reject. It is stored as ``//`` and two hex
digits; ``//`` does not occur in stored paths.
"""

from __future__ import annotations

import re


def path_to_text(path: str) -> str:
    """Encode a path for the catalog."""
    if path.isascii():
        return path
    return re.sub("[\udc80-\udcff]", lambda match: f"//{ord(match[0]) - 0xDC00:02x}", path)


def text_to_path(text: str) -> str:
    """Decode a path from the catalog."""
    if "//" not in text:
        return text
    return re.sub("//([0-9a-f]{2})", lambda match: chr(0xDC00 + int(match[1], 16)), text)
