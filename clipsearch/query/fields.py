"""The fields that a filter can name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from clipsearch.query.ast import And, Condition
from clipsearch.query.regions import parse_region
from clipsearch.query.values import (
    nearest,
    parse_after,
    parse_before,
    parse_choice,
    parse_dates,
    parse_extension,
    parse_location,
    parse_near,
    parse_numbers,
    parse_size,
    parse_text,
    parse_whole_numbers,
)

ORIENTATIONS = ("landscape", "panorama", "portrait", "square")
STATUSES = ("offline", "online")


@dataclass(frozen=True)
class Field:
    """What stands before the colon of a filter.

    Attributes:
        read: makes a condition of the value; raises `clipsearch.query.values.BadValueError`.
        example: a filter with it, complete.
        meaning: which pictures pass.
    """

    read: Callable[[str], Condition | And]
    example: str
    meaning: str


FIELDS = MappingProxyType(
    {
        "after": Field(parse_after, "after:2021-06", "taken on or after the first day of it"),
        "before": Field(parse_before, "before:2022", "taken before the first day of it"),
        "date": Field(parse_dates, "date:2021-06..2021-08", "taken in it, last day included"),
        "camera": Field(partial(parse_text, "camera", "contains"), "camera:fuji", "the camera's name has it in it"),
        "lens": Field(partial(parse_text, "lens", "contains"), 'lens:"35mm f/2"', "the lens's name has it in it"),
        "iso": Field(partial(parse_whole_numbers, "iso", 1, 10**9), "iso:>=1600", "by sensitivity"),
        "focal": Field(
            partial(parse_numbers, "focal", re.compile(r"mm$", re.IGNORECASE)),
            "focal:24..70mm",
            "by the focal length in millimetres, as the lens has it",
        ),
        "aperture": Field(
            partial(parse_numbers, "aperture", re.compile(r"^f/?", re.IGNORECASE)), "aperture:<2.8", "by the f-number"
        ),
        "folder": Field(
            partial(parse_location, "folder", "="), 'folder:"Summer 2021"', "somewhere in a folder of that name or path"
        ),
        "path": Field(
            partial(parse_location, "path", "matches"), "path:*.heic", "the path from the root matches the pattern"
        ),
        "ext": Field(parse_extension, "ext:png", "the file's name ends so; `jpg` is also `jpeg`"),
        "size": Field(
            parse_size, "size:>2MP", "by megapixels, the longer side (`px`) or the file's bytes (`kB`, `MB`)"
        ),
        "orientation": Field(
            partial(parse_choice, "orientation", ORIENTATIONS), "orientation:portrait", "by shape, as it is looked at"
        ),
        "near": Field(parse_near, "near:35.3,25.1,20km", "taken within that distance of the place"),
        "region": Field(
            parse_region, "region:0.1,0.2,0.4,0.5", "lies in that part of the explore page's map, from 0 to 1"
        ),
        "rating": Field(partial(parse_whole_numbers, "rating", -1, 5), "rating:>=4", "by stars, -1 (rejected) to 5"),
        "keyword": Field(partial(parse_text, "keyword", "="), "keyword:family", "has that keyword in the file"),
        "tag": Field(partial(parse_text, "tag", "="), "tag:dog", "has that tag in the library"),
        "title": Field(partial(parse_text, "title", "contains"), "title:wedding", "the title has it in it"),
        "caption": Field(partial(parse_text, "caption", "contains"), "caption:harbour", "the caption has it in it"),
        "root": Field(partial(parse_location, "root", "="), "root:usb", "in the indexed folder of that name or path"),
        "status": Field(partial(parse_choice, "status", STATUSES), "status:offline", "its drive is there, or is not"),
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
    "near": "gps place location latitude longitude lat lon at",
    "rating": "stars star rated",
    "keyword": "keywords subject label",
    "caption": "description comment",
    "root": "drive volume disk library",
}
_SYNONYMS = {word: field for field, words in _MEANT.items() for word in words.split()}


def nearest_field(word: str) -> str | None:
    """The field that was probably meant, by spelling or by sense.

    >>> nearest_field("camra"), nearest_field("stars"), nearest_field("xyzzy")
    ('camera', 'rating', None)
    """
    close = nearest(word, [*FIELDS, *(name for name in _SYNONYMS if len(name) > 3)])
    return _SYNONYMS.get(word.lower()) or (_SYNONYMS.get(close, close) if close else None)
