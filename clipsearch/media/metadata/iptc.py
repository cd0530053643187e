"""IPTC-IIM records, as Photoshop keeps them in JPEG's APP13 and in a TIFF tag."""

from __future__ import annotations

from collections.abc import Iterator

from clipsearch.media.metadata.dates import read_moment
from clipsearch.media.metadata.text import MAX_KEYWORDS, Descriptions, clean_keywords, clean_text, decode_text
from clipsearch.media.metadata.values import DateClaim, Meaning, Source

_MARKER = 0x1C
_CHARACTER_SET, _TITLE, _HEADLINE, _KEYWORD, _CAPTION = (1, 90), (2, 5), (2, 105), (2, 25), (2, 120)
_CREATED, _DIGITIZED = ((2, 55), (2, 60)), ((2, 62), (2, 63))
"""Date and time, each a record of its own."""

_UTF_8 = b"\x1b%G"
_MAX_RECORDS = 4096


def read_iptc(data: bytes) -> Descriptions:
    """Read title, caption, keywords and dates from IPTC-IIM records.

    Text is UTF-8 where the records say so (``ESC % G``), and otherwise what `decode_text` makes of it.

    Source: IPTC-NAA Information Interchange Model 4.2, sections 1:90, 2:05, 2:25, 2:55 to 2:63, 2:105, 2:120.
    """
    records: dict[tuple[int, int], list[bytes]] = {}
    for record, value in _records(data):
        values = records.setdefault(record, [])
        if len(values) < 4 * MAX_KEYWORDS:
            values.append(value)
    utf_8 = records.get(_CHARACTER_SET, [b""])[0].startswith(_UTF_8)

    def text(value: bytes) -> str:
        # a caption that was cut at its 2,000th byte may end within a character
        return value.decode("utf-8", errors="ignore") if utf_8 else decode_text(value)

    def first(record: tuple[int, int]) -> str:
        return text(records.get(record, [b""])[0])

    return Descriptions(
        title=clean_text(first(_TITLE)) or clean_text(first(_HEADLINE)),
        caption=clean_text(first(_CAPTION)),
        keywords=clean_keywords(text(value) for value in records.get(_KEYWORD, [])),
        dates=tuple(
            DateClaim(*moment, Source.IPTC, meaning)
            for (day, clock), meaning in ((_CREATED, Meaning.TAKEN), (_DIGITIZED, Meaning.DIGITIZED))
            if (moment := read_moment(f"{first(day).strip()}T{first(clock).strip()}".removesuffix("T"))) is not None
        ),
    )


def _records(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """The records up to the end or to the first that is malformed."""
    at = 0
    for _ in range(_MAX_RECORDS):
        head = data[at : at + 5]
        if len(head) < 5 or head[0] != _MARKER:
            return
        at += 5
        size = int.from_bytes(head[3:])
        if size & 0x8000:  # extended: the rest of the number says how many bytes the size takes
            width = size & 0x7FFF
            if width > 4:
                return
            size = int.from_bytes(data[at : at + width])
            at += width
        if at + size > len(data):
            return
        yield (head[1], head[2]), data[at : at + size]
        at += size
