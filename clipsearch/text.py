"""Text from outside (file names, error messages) made safe to show on a terminal."""

from __future__ import annotations

import os
import re
from pathlib import Path

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls: line breaks, escape sequences
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks and overrides reorder the rest of the line
    "\u2028\u2029\ufeff"  # line and paragraph separators, byte order mark
    "\ud800-\udfff"  # bytes of a name that is not UTF-8 (surrogateescape), and stray surrogates
    "]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def display_text(text: str) -> str:
    r"""Replace what would break a line, steer a terminal or not encode by visible escapes.

    >>> display_text("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    >>> display_text("caf\udce9")  # the byte E9 in a name that is not UTF-8
    'caf\\xe9'
    """
    return _UNSAFE.sub(lambda match: _escape(match[0]), text)


def display_lines(text: str) -> str:
    """`display_text` over several lines, keeping the lines."""
    return "".join(display_text(line) + "\n" for line in text.splitlines())


def display_path(path: Path, *, base: Path | None = None) -> str:
    """A path for people: relative where that is shorter, and escaped by `display_text`.

    Args:
        path: any path.
        base: what it may be shown relative to; the current directory by default.
    """
    shown = str(path)
    try:
        relative = os.path.relpath(path, base or Path.cwd())
    except (OSError, ValueError):  # the current directory is gone, or another drive on Windows
        relative = shown
    return display_text(min(shown, relative, key=len))


def format_bytes(count: int) -> str:
    """A size for people, in binary units.

    >>> format_bytes(532), format_bytes(1_572_864)
    ('532 B', '1.5 MiB')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_count(count: int, noun: str) -> str:
    """A number with its noun in singular or plural.

    >>> format_count(1, "picture"), format_count(1200, "picture")
    ('1 picture', '1,200 pictures')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_seconds(seconds: float) -> str:
    """A duration for people.

    >>> format_seconds(4.21), format_seconds(75), format_seconds(7260)
    ('4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _escape(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
