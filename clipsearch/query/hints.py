"""Words that look like a date or the name of a file: they are searched for as they are, and a filter is offered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from clipsearch.query.ast import And, Condition, Query, Term, TextTerm
from clipsearch.query.date_filters import parse_dates
from clipsearch.query.date_points import FILLERS
from clipsearch.query.fields import FIELDS
from clipsearch.query.values import BadValueError, shown

_MOST_WORDS = 6
_FILE = re.compile(
    r"[^\s/\\]+\.(?:jpe?g|jpe|png|gif|webp|avif|heic|heif|tiff?|bmp|dng|nef|cr2|cr3|arw|raf|orf|rw2|pef|raw|mp4|mov|jxl)",
    re.IGNORECASE,
)
_CAMERA_FILE = re.compile(
    r"(?:_?(?:img|dsc[fn]?|mg|pxl|mvi|vid|gopr|dji|imgp|cimg|sam|pict|wp|hpim|kimg|burst|photo|screenshot|signal)[-_ ]?"
    r"|(?=[^\W\d]*\d*[-_])p(?:ano)?[-_]?|p1)[0-9][0-9_-]{2,}[\w-]*",
    re.IGNORECASE,
)
_YEARS = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])|(?<![0-9])(?:19|20)[0-9]{2}[01][0-9][0-3][0-9](?![0-9])")
_NAMED = re.compile(r"[^\W\d_]{3}")
_BEFORE_DATES = FILLERS | {"at", "from"}
_DECADE = re.compile(r"0'?s$", re.IGNORECASE)
_MOVING = re.compile(r"yesterday|.*\b(?:last|past|previous|ago|this)\b.*", re.IGNORECASE)


def hints(query: Query, today: date) -> tuple[str, ...]:
    """Lines that offer a filter in place of words; none for a query without such words.

    >>> from clipsearch.query.parser import parse_query
    >>> hints(parse_query("dogs september 2015"), date(2026, 11, 28))
    ("'september 2015' looks like a date; to search by it: dogs date:2015-09",)
    """
    lines: list[str] = []
    for place, term in enumerate(query.terms):
        if not isinstance(term, TextTerm) or term.weight <= 0:
            continue
        for kind, words, rest, filter_ in (*_dates(term.text, today), *_files(term.text)):
            left = (replace(term, text=rest),) if rest else ()
            terms: tuple[Term, ...] = (*query.terms[:place], *left, *query.terms[place + 1 :])
            line = " ".join(filter(None, (str(replace(query, terms=terms)), str(filter_))))
            lines.append(f"{shown(words)} looks like {kind}; to search by it: {line}")
    return tuple(lines)


def _dates(text: str, today: date) -> Iterator[tuple[str, str, str, Condition | And]]:
    """The longest run of words that is a date and nothing else."""
    words = text.split()
    for count in range(min(_MOST_WORDS, len(words)), 0, -1):
        for start in range(len(words) - count + 1):
            run = " ".join(words[start : start + count]).strip(",;:!?()")
            if words[start].lower() in _BEFORE_DATES or not _is_dated(run, today, alone=count == len(words)):
                continue
            try:
                condition = parse_dates(run, today)
            except BadValueError:
                continue
            before = words[: start - 1] if start and words[start - 1].lower() in _BEFORE_DATES else words[:start]
            rest = before + words[start + count :]
            yield "a date", run, " ".join(rest), condition
            return


def _is_dated(run: str, today: date, *, alone: bool) -> bool:
    """Whether it can hardly be anything else; a season or a weekday is something to be seen, too."""
    if not run or run[0] in "<>=" or _DECADE.search(run) or run.rsplit(maxsplit=1)[-1].lower() in _BEFORE_DATES:
        return False
    if any(int(year[0][:4]) > today.year for year in _YEARS.finditer(run)):
        return False
    if any(character.isdigit() for character in run):
        return bool(_YEARS.search(run)) or (bool(_NAMED.search(run)) and not run[0].isalpha()) or alone
    return _MOVING.fullmatch(run) is not None and (len(run.split()) > 1 or run.lower() == "yesterday")


def _files(text: str) -> Iterator[tuple[str, str, str, Condition | And]]:
    for word in text.split():
        name = word.strip(",;:!?()'\"")
        if _FILE.fullmatch(name) or _CAMERA_FILE.fullmatch(name):
            pattern = f"*{name.lstrip('*')}" if _FILE.fullmatch(name) else f"*{name}*"
            rest = " ".join(other for other in text.split() if other != word)
            yield "the name of a file", name, rest, FIELDS["path"].read(pattern)
            return
