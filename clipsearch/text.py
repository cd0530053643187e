"""Text for users: made safe for a terminal, folded for comparison, formatted numbers, the callback for notices."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

Notify: TypeAlias = Callable[[str], None]
"""Callback for one-line user notices."""

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls: line breaks, escape sequences
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks and overrides reorder the rest of the line
    "\u2028\u2029\ufeff"  # line and paragraph separators, byte order mark
    "\ud800-\udfff"  # bytes of a name that is not UTF-8 (surrogateescape), and stray surrogates
    "]"
)
_PATH_IN_NOTICE = re.compile(r"(?:[A-Za-z]:\\|/).*?(?=: |; | is | are | to |$)")
"""A path in a line for people: as far as the words that come after one."""

_CLOCK_TIME = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,2}):(?=[0-5]\d(?!\d)))?(\d{1,6}(?:\.\d{1,6})?)")

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

INVISIBLE = "".join(
    chr(code)
    for first, last in (
        (0x00AD, 0x00AD),  # soft hyphen
        (0x061C, 0x061C),  # direction marks, joiners, overrides, isolates
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x2069),
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFEFF, 0xFEFF),  # byte order mark
    )
    for code in range(first, last + 1)
)
"""Characters that nobody sees or types, and that some programs put into names."""

APOSTROPHES = "\u2018\u2019\u02bc"
"""What telephones make of a typed apostrophe."""

_SAME = str.maketrans({**dict.fromkeys(INVISIBLE, ""), **dict.fromkeys(APOSTROPHES, "'")})

_ACCENTS = re.compile("[\u0300-\u036f]")

_COMMON = re.compile("[\x00-\x7fÀ-ÖØ-Þà-öø-ÿ\u0400-\u045f\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]*")
"""Composed letters whose form is their lower case: most texts are made of these alone, and quickly brought to it."""


def fold(text: str) -> str:
    """A text in the one form in which texts are compared where case plays no part.

    Two texts have the same form if people would call them the same: composed or decomposed (NFKC), in full-width
    letters or not, in upper or lower case of any language (a Turkish dotted or dotless i is an i, a final sigma a
    sigma, ß is ss), with curly apostrophes or straight ones, with invisible characters or without.
    `clipsearch.catalog.portable_sql.folded` is the same in SQL.

    >>> fold("STRASSE") == fold("straße"), fold("İzmir"), fold("Da\u0308nemark") == fold("DÄNEMARK")
    (True, 'izmir', True)

    Source: Unicode Standard Annex #15, Unicode Normalization Forms; The Unicode Standard, section 3.13.
    """
    if _COMMON.fullmatch(text):
        return text.lower()
    plain = unicodedata.normalize("NFKC", text)
    if _COMMON.fullmatch(plain):
        return plain.lower()
    plain = plain.translate(_SAME)
    # capitals once, as they join what lower case keeps apart: ss and ß, s and the long s, i and the dotless i
    lowered = plain.lower().upper().lower().replace("ς", "σ").replace("i\u0307", "i")
    return unicodedata.normalize("NFKC", lowered)


def search_form(text: str) -> str:
    """A text in the form in which words are looked for in it: `fold`, without accents, on UTF-8.

    Marks of other scripts than Latin, Greek and Cyrillic are letters of their own, and stay.

    >>> search_form("Café CRÈME"), search_form("Straße"), search_form("が")
    ('cafe creme', 'strasse', 'が')
    """
    if text.isascii():
        return text.lower()
    folded = fold(text.encode("utf-8", "replace").decode())
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", folded))
    return unicodedata.normalize("NFC", bare)


def composed(text: str) -> str:
    """A text in Unicode's composed form (NFC), in which names are kept, and compared where case counts."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def display_text(text: str) -> str:
    r"""Escape characters that would break the line, control the terminal or fail to encode.

    >>> display_text("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    >>> display_text("caf\udce9")  # the byte E9 in a name that is not UTF-8
    'caf\\xe9'
    """
    return _UNSAFE.sub(lambda match: _escape(match[0]), text)


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that is most like a word, for a hint; ``None`` if none is.

    >>> closest("camra", ["camera", "caption"])
    'camera'
    """
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(choices), n=1)), None)


def first_line(error: object) -> str:
    """The first line of an error's message, at most 300 characters; its type's name if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def shorten_paths(message: str, limit: int = 160) -> str:
    """A notice whose paths have at most `limit` characters: the middle of a long one is omitted.

    >>> shorten_paths("skipping /photos/2020/05/long/way/down.jpg: damaged", 16)
    'skipping /photos…down.jpg: damaged'
    """
    return _PATH_IN_NOTICE.sub(lambda match: _shorten_middle(match[0], limit), message)


def _shorten_middle(text: str, limit: int) -> str:
    front = limit // 2
    return text if len(text) <= limit else f"{text[: front - 1]}…{text[front - limit :]}"


def display_lines(text: str) -> str:
    """`display_text` over several lines, keeping the lines."""
    return "".join(display_text(line) + "\n" for line in text.splitlines())


def display_path(path: Path, *, base: Path | None = None) -> str:
    """A path for people: relative to `base` if that is shorter, and escaped by `display_text`.

    Args:
        path: any path.
        base: a folder; the current directory by default.
    """
    absolute = str(path)
    try:
        relative = os.path.relpath(path, base or Path.cwd())
    except (OSError, ValueError):  # the current directory is gone, or another drive on Windows
        relative = absolute
    return display_text(min(absolute, relative, key=len))


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

    >>> format_count(1, "picture"), format_count(1200, "picture"), format_count(2, "match"), format_count(0, "query")
    ('1 picture', '1,200 pictures', '2 matches', '0 queries')
    """
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("ry"):
        return f"{count:,} {noun[:-1]}ies"
    return f"{count:,} {noun}{'es' if noun.endswith(('s', 'ch')) else 's'}"


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


def clock_time(seconds: float) -> str:
    """A time or a length in a video, in whole seconds.

    >>> clock_time(83.4), clock_time(5025)
    ('1:23', '1:23:45')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def read_clock_time(text: str) -> float | None:
    """Seconds of a time such as ``83.4``, ``1:23`` or ``1:02:03``; ``None`` if it is none.

    >>> read_clock_time("1:23"), read_clock_time("7.5"), read_clock_time("1:75")
    (83.0, 7.5, None)
    """
    match = _CLOCK_TIME.fullmatch(text.strip())
    if match is None:
        return None
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3])
