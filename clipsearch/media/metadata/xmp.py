"""XMP packets: RDF in XML, written by photo programs, within pictures and beside them."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from clipsearch.media.metadata.dates import read_moment
from clipsearch.media.metadata.sources import checked_position
from clipsearch.media.metadata.text import (
    MAX_NAME,
    Descriptions,
    clean_keywords,
    clean_text,
    decode_text,
    stars_of_percent,
)
from clipsearch.media.metadata.values import DateClaim, Meaning, Position, Source

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MAX_BYTES = 2**20
"""Longer packets are left unread: they are editing histories, and parsing takes memory many times their size."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DC = "{http://purl.org/dc/elements/1.1/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_XAP = "{http://ns.adobe.com/xap/1.0/}"
_MICROSOFT = "{http://ns.microsoft.com/photo/1.0/}"
_ACDSEE = "{http://ns.acdsee.com/iptc/1.0/}"
_DIGIKAM = "{http://www.digikam.org/ns/1.0/}"
_ORIENTATION = f"{_TIFF}Orientation"
_LENSES = (
    "{http://cipa.jp/exif/1.0/}LensModel",
    "{http://ns.adobe.com/exif/1.0/aux/}Lens",
)
_TITLES = (f"{_DC}title", f"{_PHOTOSHOP}Headline", f"{_ACDSEE}caption")
_CAPTIONS = (
    f"{_DC}description", f"{_TIFF}ImageDescription", f"{_EXIF}UserComment", f"{_ACDSEE}notes",
)  # fmt: skip
_RATINGS = (f"{_XAP}Rating", f"{_ACDSEE}rating")
_PERCENT = f"{_MICROSOFT}Rating"

_DATES = (
    (f"{_EXIF}DateTimeOriginal", Meaning.TAKEN),
    (f"{_PHOTOSHOP}DateCreated", Meaning.TAKEN),
    (f"{_ACDSEE}datetime", Meaning.TAKEN),
    (f"{_XAP}CreateDate", Meaning.DIGITIZED),
    (f"{_EXIF}DateTimeDigitized", Meaning.DIGITIZED),
)

_TREES = (
    ("{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject", "|"),
    (f"{_DIGIKAM}TagsList", "/"),
    (f"{_MICROSOFT}LastKeywordXMP", "/"),
    ("{http://ns.iview-multimedia.com/mediapro/1.0/}CatalogSets", "|"),
)
"""Keywords within keywords, and what stands between a keyword and those within it."""

_INNER_TREES = frozenset({"darktable", "_digikam_internal_tags_"})
"""First keywords under which programs keep notes of their own."""

_CATEGORIES = f"{_ACDSEE}categories"
_PEOPLE = ("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}PersonInImage", f"{_MICROSOFT}PeopleTag")
_MWG_REGIONS = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_FACES = frozenset({"", "face", "pet"})
"""Types of regions whose names are keywords; the others are bar codes and focus points."""

_MICROSOFT_PERSON = "{http://ns.microsoft.com/photo/1.2/t/Region#}PersonDisplayName"

_EXTENSION_MARK = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION = re.compile(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([0-9A-Fa-f]{32})")

_DECLARED = re.compile(rb"""<\?xml[^>]*\sencoding=["']([A-Za-z][\w.-]*)""")

_COORDINATE = re.compile(
    r"([+-]?\d{1,3}(?:\.\d+)?)(?:[,°\s]\s*(\d{1,2}(?:\.\d+)?))?(?:[,'′\s]\s*(\d{1,2}(?:\.\d+)?))?[\"″'′°\s]*([NSEW])?",
    re.IGNORECASE,
)
"""``50,56.2355N``, ``50,56,14.13N``, and the decimal degrees that some programs write."""


def read_xmp(packet: bytes, *, extension: bytes = b"") -> Descriptions:
    """Read what an XMP packet says of a picture; nothing where it cannot be read.

    Args:
        packet: the XML.
        extension: the rest of it, of `joined_extension`; what both have is taken from the packet.

    Source: XMP Specification part 1 (ISO 16684-1:2012), section 7, and part 2, sections 1.1 to 3.3; Metadata Working
    Group, Guidelines for Handling Image Metadata 2.0, section 5.9, for regions.
    """
    try:
        return parse_xmp(packet, limit=_MAX_BYTES, extension=extension)
    except ValueError:
        return Descriptions()


def joined_extension(packet: bytes, segments: Iterable[bytes]) -> bytes:
    """The part of an XMP packet that did not fit into one segment of a JPEG; empty where it has none or lacks a piece.

    Args:
        packet: the part that did, which names the other one.
        segments: the contents of the file's APP1 segments.

    Source: XMP Specification part 3 (2020), section 1.1.3.1.
    """
    named = _EXTENSION.search(packet)
    if named is None:
        return b""
    start = _EXTENSION_MARK + named[1].upper()
    pieces: dict[int, bytes] = {}
    length = 0
    for segment in segments:
        if segment[: len(start)].upper() == start.upper() and len(segment) >= len(start) + 8:
            length, offset = struct.unpack_from(">II", segment, len(start))
            pieces[offset] = segment[len(start) + 8 :]
    joined = b"".join(piece for _, piece in sorted(pieces.items()))
    return joined if len(joined) == length <= _MAX_BYTES else b""


def parse_xmp(packet: bytes, *, limit: int, extension: bytes = b"") -> Descriptions:
    """Read what an XMP packet of at most `limit` bytes says of a picture.

    A packet with a document type declaration is refused, so that no entity can expand or fetch anything.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    roots = [_parse(packet, limit)]
    if extension:
        with suppress(ValueError):
            roots.append(_parse(extension, limit))
    properties: dict[str, list[str]] = {}
    for root in roots:
        properties = {**_properties(root), **properties}
    return Descriptions(
        title=clean_text(_first(properties, *_TITLES)),
        caption=clean_text(_first(properties, *_CAPTIONS)),
        keywords=clean_keywords(_keywords(properties, roots)),
        rating=_rating(properties),
        lens=clean_text(_first(properties, *_LENSES), limit=MAX_NAME),
        orientation=whole_number(_first(properties, _ORIENTATION), 1, 8),
        dates=tuple(
            DateClaim(*moment, Source.XMP, meaning)
            for name, meaning in _DATES
            if (moment := read_moment(_first(properties, name))) is not None
        ),
        position=_position(properties),
    )


def whole_number(text: str, lowest: int, highest: int) -> int | None:
    """A number such as ``3`` or ``3.0``, if it is whole and in range."""
    number = _number(text)
    return int(number) if number is not None and number == int(number) and lowest <= number <= highest else None


def _number(text: str) -> float | None:
    """A finite number, or a fraction such as ``125/10``."""
    whole, _, divisor = text[:40].partition("/")
    try:
        number = float(whole) / float(divisor or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _first(properties: dict[str, list[str]], *names: str) -> str:
    """The first value of the first property that has one."""
    return next((found for name in names for found in properties.get(name, ()) if found.strip()), "")


def _rating(properties: dict[str, list[str]]) -> int | None:
    for name in _RATINGS:
        stars = whole_number(_first(properties, name), -1, 5)
        if stars is not None:
            return stars
    percent = _number(_first(properties, _PERCENT))
    return stars_of_percent(percent) if percent is not None and 0 <= percent <= 100 else None


def _keywords(properties: dict[str, list[str]], roots: Sequence[Element]) -> Iterator[str]:
    """Keywords, those that they are within, and the names of people; several programs' names for the same."""
    yield from properties.get(f"{_DC}subject", ())
    for name, mark in _TREES:
        for path in properties.get(name, ()):
            parts = [part.strip() for part in path.split(mark)]
            if parts[0].casefold() not in _INNER_TREES:
                yield from reversed(parts)
    yield from _acdsee_categories(_first(properties, _CATEGORIES))
    for name in _PEOPLE:
        yield from properties.get(name, ())
    for root in roots:
        yield from _people_in_regions(root)


def _acdsee_categories(text: str) -> list[str]:
    """The names in ``<Categories><Category Assigned="1">Crete</Category></Categories>``, XML within a value."""
    return re.findall(r">([^<>]+)<", text)


def _people_in_regions(root: Element) -> Iterator[str]:
    """The names of regions that show a person or an animal; RDF has them as attributes or as elements."""
    for element in root.iter():
        if name := _own_value(element, f"{_MWG_REGIONS}Name"):
            if _own_value(element, f"{_MWG_REGIONS}Type").strip().lower() in _FACES:
                yield name
        elif name := _own_value(element, _MICROSOFT_PERSON):
            yield name


def _own_value(element: Element, name: str) -> str:
    return element.get(name) or element.findtext(name) or ""


def _position(properties: dict[str, list[str]]) -> Position:
    latitude, longitude = (
        _degrees(_first(properties, f"{_EXIF}{name}"), _first(properties, f"{_EXIF}{name}Ref"), letters)
        for name, letters in (("GPSLatitude", "NS"), ("GPSLongitude", "EW"))
    )
    altitude = _number(_first(properties, f"{_EXIF}GPSAltitude"))
    if altitude is not None and _first(properties, f"{_EXIF}GPSAltitudeRef").strip() in ("1", "3"):
        altitude = -abs(altitude)
    return checked_position(latitude, longitude, altitude)


def _degrees(text: str, reference: str, letters: str) -> float | None:
    match = _COORDINATE.fullmatch(text.strip())
    if match is None:
        return None
    whole, minutes, seconds = float(match[1]), float(match[2] or 0), float(match[3] or 0)
    letter = (match[4] or reference.strip()[:1]).upper()
    if minutes > 60 or seconds > 60 or (letter and letter not in letters):
        return None
    degrees = abs(whole) + minutes / 60 + seconds / 3600
    return -degrees if letter == letters[1] or (not letter and match[1].startswith("-")) else degrees


def _properties(root: Element) -> dict[str, list[str]]:
    """The top-level properties by their qualified name, simple ones as lists of one."""
    properties: dict[str, list[str]] = {}
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


def _parse(packet: bytes, limit: int) -> Element:
    if len(packet) > limit:
        raise ValueError(f"it is larger than {limit // 2**20} MiB")
    from xml.etree.ElementTree import ParseError, fromstring

    text = _decode(packet)
    text = text[text.find("<") : text.rfind(">") + 1]
    # as text, not bytes: the parser must not follow a declared encoding in which these would look different
    if "<!" in text.replace("<![CDATA[", "").replace("<!--", ""):
        raise ValueError("it has a document type declaration, which is not read")
    try:
        return fromstring(text)
    except (ParseError, ValueError, RecursionError) as error:
        raise ValueError(f"it is damaged ({error})" if text else "it has no XML") from error


def _decode(packet: bytes) -> str:
    """XMP is UTF-8 in most files; UTF-16 is allowed, and known by a zero beside the first bracket.

    What is not UTF-8 may say what it is instead.
    """
    at = packet.find(b"<")
    if packet[at + 1 : at + 2] == b"\0":
        return packet.decode("utf-16-be" if at % 2 else "utf-16-le", errors="ignore")
    try:
        text = packet.decode("utf-8")
    except UnicodeDecodeError:
        declared = _DECLARED.search(packet[: at + 200])
        try:
            text = packet.decode(declared[1].decode() if declared else "cp1252", errors="replace")
        except LookupError:
            text = decode_text(packet)
    return text.replace("\0", "")
