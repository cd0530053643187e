"""Text from files, made fit to keep, to search and to print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clipsearch.media.metadata.values import NOWHERE, DateClaim, Position
from clipsearch.text import composed, fold

MAX_TEXT = 2_000
"""Characters kept of a title or a caption."""

MAX_NAME = 200
"""Characters kept of a keyword, a camera or a lens."""

MAX_KEYWORDS = 200
"""Keywords kept of one picture."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What is no text: terminals obey some of these, databases and JSON choke on others."""


@dataclass(frozen=True)
class Descriptions:
    """What people wrote about a picture; ``None`` or empty where they did not.

    Attributes:
        title: in one line.
        caption: the same for the caption.
        keywords: without repeats, in their order.
        rating: 0 to 5 stars, -1 for rejected.
        lens: model of the lens, which only some programs write down.
        orientation: EXIF orientation, 1 to 8.
        dates: on which it may have been taken.
        position: where.
    """

    title: str | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()
    rating: int | None = None
    lens: str | None = None
    orientation: int | None = None
    dates: tuple[DateClaim, ...] = ()
    position: Position = NOWHERE


def clean_text(text: str, *, limit: int = MAX_TEXT) -> str | None:
    """Drop control characters, make runs of white space one space, compose accents (NFC), and cap the length.

    Returns:
        the text, or ``None`` where nothing is left.
    """
    # far more than is kept, so that cleaning costs the same however long the text is
    return " ".join(_CONTROL.sub(" ", composed(text[: 8 * limit])).split())[:limit].rstrip() or None


def clean_keywords(keywords: Iterable[str]) -> tuple[str, ...]:
    """Clean each keyword and drop repeats, whatever their case, keeping the order."""
    kept: dict[str, str] = {}
    for keyword in keywords:
        cleaned = clean_text(keyword, limit=MAX_NAME)
        if cleaned is not None:
            kept.setdefault(fold(cleaned), cleaned)
        if len(kept) == MAX_KEYWORDS:
            break
    return tuple(kept.values())


def stars_of_percent(percent: float) -> int:
    """Stars of a rating in percent, which Windows writes as 1, 25, 50, 75 and 99."""
    return 0 if percent <= 0 else min(5, 1 + round(percent / 25))


def decode_text(text: bytes) -> str:
    """Decode text that does not say its encoding: UTF-8 if it is that, otherwise Latin-1 as Windows has it.

    Text that is not UTF-8 but passes for it is next to impossible, the other way round it is the rule.
    """
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", errors="replace").replace("\ufffd", " ")
