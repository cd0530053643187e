"""The fields that a filter can name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from clipsearch.query.ast import And, Condition
from clipsearch.query.date_filters import parse_after, parse_before, parse_dates
from clipsearch.query.values import (
    parse_choice,
    parse_duration,
    parse_extension,
    parse_location,
    parse_near,
    parse_numbers,
    parse_region,
    parse_size,
    parse_text,
    parse_whole_numbers,
    parse_words,
)
from clipsearch.text import closest

ORIENTATIONS = ("landscape", "panorama", "portrait", "square")
KINDS = ("image", "video")
STATUSES = ("offline", "online")


@dataclass(frozen=True)
class Field:
    """What stands before the colon of a filter.

    Attributes:
        read: makes a condition of the value; raises `clipsearch.query.values.BadValueError`.
        example: a filter with it, complete.
        meaning: which pictures pass.
        is_date: whether `read` takes today's date as well, and a value may be several words.
    """

    read: Callable[..., Condition | And]
    example: str
    meaning: str
    is_date: bool = False


FIELDS = MappingProxyType(
    {
        "after": Field(parse_after, "after:2021-06", "taken on or after the first day of it", is_date=True),
        "before": Field(parse_before, "before:2022", "taken before the first day of it", is_date=True),
        "date": Field(parse_dates, "date:2021-06..2021-08", "taken in it, last day included", is_date=True),
        "camera": Field(partial(parse_text, "camera", "contains"), "camera:fuji", "the camera name contains the value"),
        "lens": Field(partial(parse_text, "lens", "contains"), 'lens:"35mm f/2"', "the lens name contains the value"),
        "iso": Field(partial(parse_whole_numbers, "iso", 1, 10**9), "iso:>=1600", "by ISO sensitivity"),
        "focal": Field(
            partial(parse_numbers, "focal", re.compile(r"mm$", re.IGNORECASE)),
            "focal:24..70mm",
            "by focal length in millimeters, as marked on the lens",
        ),
        "aperture": Field(
            partial(parse_numbers, "aperture", re.compile(r"^f/?", re.IGNORECASE)), "aperture:<2.8", "by f-number"
        ),
        "folder": Field(
            partial(parse_location, "folder", "="), 'folder:"Summer 2021"', "below a folder of that name or path"
        ),
        "path": Field(
            partial(parse_location, "path", "matches"),
            "path:*.heic",
            "the path relative to the root matches the pattern",
        ),
        "ext": Field(parse_extension, "ext:png", "by file name extension; `jpg` includes `jpeg`"),
        "size": Field(parse_size, "size:>2MP", "by megapixels, longer side (`px`) or file size (`kB`, `MB`)"),
        "kind": Field(partial(parse_choice, "kind", KINDS), "kind:video", "a photo (`image`) or a video (`video`)"),
        "duration": Field(
            parse_duration,
            "duration:>30s",
            "by the length of a video: `45s`, `2min`, `1m30s`, `1h`; or in seconds",
        ),
        "orientation": Field(
            partial(parse_choice, "orientation", ORIENTATIONS), "orientation:portrait", "by shape, after EXIF rotation"
        ),
        "near": Field(parse_near, "near:35.3,25.1,20km", "taken within that distance of the coordinates"),
        "place": Field(
            partial(parse_text, "place", "="),
            "place:heraklion",
            "taken in that town, region or country, in any language (extra `places`)",
        ),
        "region": Field(
            parse_region, "region:0.1,0.2,0.4,0.5", "inside that part of the map on the Explore page, from 0 to 1"
        ),
        "rating": Field(
            partial(parse_whole_numbers, "rating", -1, 5), "rating:>=4", "by stars, from -1 (rejected) to 5"
        ),
        "keyword": Field(partial(parse_text, "keyword", "="), "keyword:family", "the file or sidecar has that keyword"),
        "tag": Field(partial(parse_text, "tag", "="), "tag:dog", "the library has that [tag](tags.md) for it"),
        "title": Field(partial(parse_text, "title", "contains"), "title:wedding", "the title contains the value"),
        "caption": Field(
            partial(parse_text, "caption", "contains"), "caption:harbor", "the caption contains the value"
        ),
        "text": Field(
            partial(parse_words, "text"),
            'text:"total amount"',
            "a line of text in the picture contains the value, or between slashes matches the regular expression",
        ),
        "root": Field(partial(parse_location, "root", "="), "root:usb", "in the indexed folder of that name or path"),
        "status": Field(
            partial(parse_choice, "status", STATUSES),
            "status:offline",
            "its drive is connected (`online`) or not (`offline`)",
        ),
    }
)

_MEANT = {
    "date": "day month year taken time when",
    "after": "since from",
    "before": "until till to",
    "camera": "make model body",
    "aperture": "f fnumber fstop",
    "focal": "mm zoom",
    "folder": "dir directory album in",
    "path": "file filename name",
    "ext": "extension type filetype format mime",
    "size": "mp megapixels px pixels width height resolution bytes filesize dimensions",
    "orientation": "shape aspect layout",
    "near": "gps latitude longitude lat lon at",
    "place": "location city town country where",
    "rating": "stars star rated",
    "keyword": "keywords subject label",
    "caption": "description comment",
    "text": "ocr words line printed",
    "kind": "media medium",
    "duration": "length long seconds minutes runtime",
    "root": "drive volume disk library",
}
_SYNONYMS = {word: field for field, words in _MEANT.items() for word in words.split()}


def nearest_field(word: str) -> str | None:
    """The field that was probably meant, by spelling or by sense.

    >>> nearest_field("camra"), nearest_field("stars"), nearest_field("xyzzy")
    ('camera', 'rating', None)
    """
    close = closest(word.lower(), [*FIELDS, *(name for name in _SYNONYMS if len(name) > 3)])
    return _SYNONYMS.get(word.lower()) or (_SYNONYMS.get(close, close) if close else None)
