"""The values of filters, read from text: numbers, sizes, places, regions of the map, and words from a list."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from clipsearch.query.ast import COMPARISONS, And, Condition, Near, Operator, Region, Size, Value
from clipsearch.text import closest

_Bound: TypeAlias = tuple[int | float | Size, tuple[float | Size, float | Size] | None]
"""A value, and the bounds between which all round to it; ``None`` where only itself is meant."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,30})?")
_RADIUS = re.compile(r"([0-9.]+)(km|m)", re.IGNORECASE)
_DURATION = re.compile(
    r"(?:([0-9]{1,6}(?:\.[0-9]{1,9})?)h(?:ours?)?)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)m(?:in)?)?"
    r"(?:([0-9]{1,12}(?:\.[0-9]{1,9})?)s?)?"
)
_AMOUNT = re.compile(r"([0-9.]+)([a-z]*)", re.IGNORECASE)
_HALF_WAY_ROUND_M = 20_037_508
"""Half of the Earth's circumference."""

_SHARE = re.compile(r"[01](?:\.[0-9]{0,6})?|\.[0-9]{1,6}")
_DRAWING = re.compile(r"(?:pca|umap)[0-9]{1,18}")
_MOST_CORNERS = 50
_RECTANGLE = 2

_UNITS: dict[str, tuple[str, int]] = {
    "mp": ("MP", 1),
    "px": ("px", 1),
    "b": ("B", 1),
    "kb": ("B", 10**3),
    "mb": ("B", 10**6),
    "gb": ("B", 10**9),
    "kib": ("B", 2**10),
    "mib": ("B", 2**20),
    "gib": ("B", 2**30),
}


_EXTENSIONS = (("jpg", "jpeg", "jpe", "jfif"), ("tif", "tiff"), ("heic", "heif", "hif"))


class BadValueError(ValueError):
    """A value is not what its field takes; the text says why, in a few words. It never leaves the parser."""


class NotADateError(BadValueError):
    """A value is no date of any form, not even one that there is not."""


def parse_whole_numbers(field: str, low: int, high: int, text: str) -> Condition | And:
    """A comparison with a whole number, or a range of them.

    >>> str(parse_whole_numbers("rating", -1, 5, "3.."))
    'rating:>=3'
    """

    def read(bound: str) -> _Bound:
        number = _number(bound)
        if number != int(number) or not low <= number <= high:
            raise BadValueError(f"{shown(bound)} is not a whole number from {low} to {high}")
        return int(number), None

    return _compared(field, text, read)


def parse_numbers(field: str, affix: re.Pattern[str], text: str) -> Condition | And:
    """A comparison with a number above zero; `affix` is what may stand around it, such as ``mm``.

    Without an operator, every number that rounds to the one written is meant: 2.8 is also 2.79999.

    >>> str(parse_numbers("focal", re.compile("mm"), "50mm"))
    'focal:>=49.5 focal:<50.5'
    """

    def read(bound: str) -> _Bound:
        number = _positive(affix.sub("", bound), bound)
        return float(number), (float(number - _half_a_step(number)), float(number + _half_a_step(number)))

    return _compared(field, text, read)


def parse_size(text: str) -> Condition | And:
    """A comparison with megapixels, the longer side in pixels, or the bytes of the file.

    >>> str(parse_size(">1.5MB"))
    'size:>1500000B'
    """

    def read(bound: str) -> _Bound:
        match = _AMOUNT.fullmatch(bound)
        if match is None:
            raise BadValueError(f"{shown(bound)} is not a size; write >2MP, >1000px or >5MB")
        unit, factor = _UNITS.get(match[2].lower(), ("", 0))
        if not factor:
            raise BadValueError(
                f"{shown(bound)} has no unit that is known; write MP, px, kB, MB or GB after the number"
            )
        number = _positive(match[1], bound)
        step = _half_a_step(number)
        low, middle, high = (
            Size(float(amount * factor), cast('Literal["MP", "px", "B"]', unit))
            for amount in (number - step, number, number + step)
        )
        return middle, None if match[2].lower() in ("px", "b") else (low, high)

    return _compared("size", text, read)


def parse_duration(text: str) -> Condition | And:
    """A comparison with a length of time, in seconds.

    Without an operator, every length that rounds to the one written is meant.

    >>> str(parse_duration(">1m30s")), str(parse_duration("2min..3min"))
    ('duration:>90', 'duration:>=120 duration:<=180')
    """

    def read(bound: str) -> _Bound:
        match = _DURATION.fullmatch(bound.lower())
        if match is None or not any(match.groups()):
            raise BadValueError(f"{shown(bound)} is not a length of time; write 45s, 2min, 1m30s or 1h")
        factors = (3600, 60, 1)
        parts = [(Decimal(part), factor) for part, factor in zip(match.groups(), factors, strict=True) if part]
        seconds = sum(number * factor for number, factor in parts)
        step = _half_a_step(parts[-1][0]) * parts[-1][1]
        return float(seconds), (float(max(Decimal(0), seconds - step)), float(seconds + step))

    return _compared("duration", text, read)


def parse_near(text: str) -> Condition:
    """A latitude, a longitude and a radius, in degrees and in metres or kilometres.

    >>> parse_near("35.3,25.1,20km").value
    Near(latitude=35.3, longitude=25.1, radius_m=20000.0)
    """
    parts = text.split(",")
    radius = _RADIUS.fullmatch(parts[-1])
    if len(parts) != 3 or radius is None:
        raise BadValueError(f"{shown(text)} is not a place; write LATITUDE,LONGITUDE,RADIUS as in 35.3,25.1,20km")
    latitude, longitude = _number(parts[0]), _number(parts[1])
    if abs(latitude) > 90:
        raise BadValueError(f"{shown(parts[0])} is not a latitude; they go from -90 to 90")
    if abs(longitude) > 180:
        raise BadValueError(f"{shown(parts[1])} is not a longitude; they go from -180 to 180")
    radius_m = _positive(radius[1], parts[2]) * (1000 if radius[2].lower() == "km" else 1)
    if radius_m > _HALF_WAY_ROUND_M:
        raise BadValueError(f"{shown(parts[2])} is more than half way round the Earth")
    return Condition("near", "in", Near(float(latitude), float(longitude), float(radius_m)))


def parse_region(text: str) -> Condition:
    """Two opposite corners of a rectangle, or three or more of a polygon, from 0 to 1 across and up.

    What follows ``@`` says which drawing of the map is meant.

    >>> parse_region("0.1,0.2,0.4,0.5@umap12").value
    Region(corners=((0.1, 0.2), (0.4, 0.5)), drawing='umap12')
    """
    numbers, _, drawing = text.partition("@")
    parts = numbers.split(",")
    for part in parts:
        if not _SHARE.fullmatch(part) or float(part) > 1:
            raise BadValueError(f"{shown(part)} is not from 0 to 1; write X,Y,X,Y as in 0.1,0.2,0.4,0.5")
    if "@" in text and not _DRAWING.fullmatch(drawing):
        raise BadValueError(f"{shown(drawing)} is not the identifier of a map; remove it to use the current map")
    if len(parts) % 2 or not 2 * _RECTANGLE <= len(parts) <= 2 * _MOST_CORNERS:
        raise BadValueError(f"{shown(numbers)} is not a region; write X,Y,X,Y as in 0.1,0.2,0.4,0.5")
    values = [float(part) for part in parts]
    return Condition("region", "in", Region(tuple(zip(values[::2], values[1::2], strict=True)), drawing))


def parse_choice(field: str, choices: tuple[str, ...], text: str) -> Condition:
    """One of a few words.

    >>> str(parse_choice("status", ("online", "offline"), "Online"))
    'status:online'
    """
    if text.lower() in choices:
        return Condition(field, "=", text.lower())
    close = closest(text.lower(), choices)
    hint = f"did you mean {close}?" if close else f"it is one of {', '.join(choices)}"
    raise BadValueError(f"{shown(text)} is not known; {hint}")


def parse_extension(text: str) -> Condition:
    """The end of a file's name, without the dot; see `same_extensions`.

    >>> str(parse_extension(".JPEG"))
    'ext:jpg'
    """
    extension = text.removeprefix(".").lower()
    if not extension.isalnum():
        raise BadValueError(f"{shown(text)} is not an extension; write jpg or png")
    return Condition("ext", "=", same_extensions(extension)[0])


def parse_text(field: str, operator: Operator, text: str) -> Condition:
    """Words as they are, white space joined."""
    return Condition(field, operator, " ".join(text.split()))


def parse_words(field: str, text: str) -> Condition:
    """Words as they are, or between slashes a regular expression.

    >>> parse_words("text", "/total +[0-9]+/").operator
    'matches'
    """
    if len(text) > 2 and text[0] == text[-1] == "/":
        import regex

        try:
            regex.compile(text[1:-1])
        except regex.error as error:
            raise BadValueError(f"{shown(text)} is not a regular expression: {error}") from error
        return Condition(field, "matches", text)
    return parse_text(field, "contains", text)


def parse_location(field: str, operator: Operator, text: str) -> Condition:
    r"""A path or the end of one; parts are joined by ``/`` as in the catalog, and none is empty at the end.

    >>> str(parse_location("folder", "=", "Crete\\Beach/"))
    'folder:Crete/Beach'
    """
    return Condition(field, operator, re.sub(r"(?<=.)/+$", "", text.replace("\\", "/")))


def same_extensions(extension: str) -> tuple[str, ...]:
    """All extensions that mean the same as one, in lower case, the usual one first.

    >>> same_extensions("jpeg")
    ('jpg', 'jpeg', 'jpe', 'jfif')
    """
    return next((group for group in _EXTENSIONS if extension in group), (extension,))


def shown(text: str) -> str:
    """A piece of the query as messages show it: on one line, and short."""
    text = " ".join(text.split())
    return f"'{text[:40]}…'" if len(text) > 40 else f"'{text}'"


def split_operator(text: str) -> tuple[Operator, str]:
    """The comparison that a value begins with, ``=`` if none is written, and the rest.

    >>> split_operator(">=4")
    ('>=', '4')
    """
    for operator in COMPARISONS:
        if text.startswith(operator):
            return operator, text[len(operator) :]
    return "=", text


def _compared(field: str, text: str, read: Callable[[str], _Bound]) -> Condition | And:
    """A comparison, a value with its rounding, or a range with one or two ends."""
    operator, bare = split_operator(text)
    if ".." not in bare or operator != "=":
        value, rounding = read(bare)
        if operator != "=" or rounding is None:
            return Condition(field, operator, value)
        return And((Condition(field, ">=", rounding[0]), Condition(field, "<", rounding[1])))
    first, _, last = bare.partition("..")
    bounds: list[Condition] = []
    if first:
        bounds.append(Condition(field, ">=", read(first)[0]))
    if last:
        bounds.append(Condition(field, "<=", read(last)[0]))
    if not bounds:
        raise BadValueError("a range has at least one end, as in 2..4")
    if len(bounds) == 1:
        return bounds[0]
    if not _in_order(bounds[0].value, bounds[1].value):
        raise BadValueError(f"{shown(first)} is more than {shown(last)}, or another unit")
    return And(tuple(bounds))


def _in_order(first: Value, last: Value) -> bool:
    if isinstance(first, Size) and isinstance(last, Size):
        return first.unit == last.unit and first.amount <= last.amount
    return isinstance(first, int | float) and isinstance(last, int | float) and first <= last


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise BadValueError(f"{shown(text)} is not a number")
    return Decimal(text)


def _positive(text: str, whole: str) -> Decimal:
    if not _NUMBER.fullmatch(text) or Decimal(text) <= 0:
        raise BadValueError(f"{shown(whole)} is not a number above 0")
    return Decimal(text)


def _half_a_step(number: Decimal) -> Decimal:
    """Half a unit of the last digit that is written: 0.05 for 2.8, 0.5 for 50."""
    return Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)
