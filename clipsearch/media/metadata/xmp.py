"""XMP packets: RDF in XML, written by photo programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from clipsearch.media.metadata.text import MAX_NAME, Descriptions, clean_keywords, clean_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MAX_BYTES = 2**20
"""Longer packets are left unread: they are editing histories, and parsing takes memory many times their size."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DC = "{http://purl.org/dc/elements/1.1/}"
_RATING = "{http://ns.adobe.com/xap/1.0/}Rating"
_ORIENTATION = "{http://ns.adobe.com/tiff/1.0/}Orientation"
_LENSES = (
    "{http://cipa.jp/exif/1.0/}LensModel",
    "{http://ns.adobe.com/exif/1.0/aux/}Lens",
)


def read_xmp(packet: bytes) -> Descriptions:
    """Read title, caption, keywords, rating, lens and orientation from an XMP packet.

    A packet with a document type declaration is refused, so that no entity can expand or fetch anything.

    Source: XMP Specification part 1 (ISO 16684-1:2012), section 7, and part 2, sections 1.1 and 1.2.
    """
    properties = _properties(packet)
    lens = next((found for name in _LENSES for found in properties.get(name, ()) if found), "")
    return Descriptions(
        title=clean_text(_first(properties, f"{_DC}title")),
        caption=clean_text(_first(properties, f"{_DC}description")),
        keywords=clean_keywords(properties.get(f"{_DC}subject", ())),
        rating=whole_number(_first(properties, _RATING), -1, 5),
        lens=clean_text(lens, limit=MAX_NAME),
        orientation=whole_number(_first(properties, _ORIENTATION), 1, 8),
    )


def whole_number(text: str, lowest: int, highest: int) -> int | None:
    """A number such as ``3`` or ``3.0``, if it is whole and in range."""
    try:
        number = float(text[:20])
    except ValueError:
        return None
    if not math.isfinite(number) or number != int(number) or not lowest <= number <= highest:
        return None
    return int(number)


def _first(properties: dict[str, list[str]], name: str) -> str:
    return next(iter(properties.get(name, ())), "")


def _properties(packet: bytes) -> dict[str, list[str]]:
    """The top-level properties by their qualified name, simple ones as lists of one."""
    root = _parse(packet)
    properties: dict[str, list[str]] = {}
    if root is None:
        return properties
    rdf = root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")
    for description in () if rdf is None else rdf.findall(f"{_RDF}Description"):
        for name, value in description.attrib.items():
            properties.setdefault(name, [value])
        for element in description:
            properties.setdefault(element.tag, list(_values(element)))
    return properties


def _values(element: Element) -> Iterator[str]:
    """The values of a property: its own text, or its list's items, the default language's first."""
    items = element.findall(f"*/{_RDF}li")
    if not items:
        yield "".join(element.itertext())
    for item in sorted(items, key=lambda item: item.get(_XML_LANG) != "x-default"):
        yield "".join(item.itertext())


def _parse(packet: bytes) -> Element | None:
    if len(packet) > _MAX_BYTES:
        return None
    from xml.etree.ElementTree import ParseError, fromstring

    text = _decode(packet)
    text = text[text.find("<") : text.rfind(">") + 1]
    # as text, not bytes: the parser must not follow a declared encoding in which these would look different
    if "<!" in text.replace("<![CDATA[", "").replace("<!--", ""):
        return None
    try:
        return fromstring(text)
    except (ParseError, ValueError, RecursionError):
        return None


def _decode(packet: bytes) -> str:
    """XMP is UTF-8 in most files; UTF-16 is allowed, and told by a zero after the first bracket."""
    at = packet.find(b"<")
    if packet[at + 1 : at + 2] == b"\0":
        return packet.decode("utf-16-be" if at % 2 else "utf-16-le", errors="ignore")
    return packet.decode("utf-8", errors="replace").replace("\0", "")
