"""Options and results of a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from clipsearch.errors import QueryError
from clipsearch.media.box import Box
from clipsearch.media.segments import SegmentKind
from clipsearch.query import Filter, Query, check_k, parse_query
from clipsearch.retrieval.relevance.calibration import MIN_MATCHES, Match, MinMatch

Sort: TypeAlias = Literal["score", "date", "path"]
SORTS: tuple[str, ...] = get_args(Sort)

Group: TypeAlias = Literal["none", "stacks", "copies", "duplicates"]
GROUPS: tuple[str, ...] = get_args(Group)

By: TypeAlias = Literal["both", "meaning", "text"]
BYS: tuple[str, ...] = get_args(By)


@dataclass(frozen=True)
class Evidence:
    """Why a picture is a result.

    Attributes:
        kind: of the text that has words of the query: ``text`` (in the picture), ``title``, ``caption``, ``keyword``,
            ``name``, ``folder``, ``place`` or ``camera``; or ``looks like``.
        excerpt: the part of that text with the words; empty for ``looks like``.
        box: of a line of text in the picture, in its upright pixels; otherwise ``None``.
    """

    kind: str
    excerpt: str = ""
    box: Box | None = None


LOOKS_LIKE = Evidence("looks like")


@dataclass(frozen=True)
class ResultSegment:
    """What of a file matches a query best.

    Attributes:
        kind: ``image`` for a picture, ``tile`` for a part of a long one; of a video ``frame`` if one of its frames is
            nearest to the query, ``video`` if the whole is.
        start_s: where the matching span of a video begins, in seconds; ``None`` for a picture.
        end_s: where it ends.
        at_s: time of the frame in it that matches best.
    """

    kind: SegmentKind = SegmentKind.IMAGE
    start_s: float | None = None
    end_s: float | None = None
    at_s: float | None = None


@dataclass(frozen=True)
class SearchResult:
    """A file found by a search.

    Attributes:
        path: of the file when it was indexed.
        score: cosine similarity between query and picture, -1 to 1; ``None`` if the query has filters only.
        rank: 1 for the best.
        width: in pixels, after EXIF rotation.
        height: in pixels, after EXIF rotation.
        format: Pillow's format name, for example ``JPEG``.
        content_hash: XXH3-128 of the file's bytes, hex; the same for copies.
        taken_at: capture time in local time of the camera; ``None`` if unknown.
        online: whether the drive is connected.
        thumbnail: preview in the library, available offline; ``None`` if there is none.
        match: ``strong``, ``possible`` or ``none``; ``None`` unless the query has only texts and filters.
        probability: that the picture shows what the query says, 0 to 1 (docs/matching.md); with `match`.
        copies: other matching files with the same content if results are grouped, by path.
        near_duplicates: matching files with another version of the picture if results are grouped by duplicates:
            re-saved, resized, lightly cropped or edited.
        stack: the other files of its stack, matching or not, films included, unless results are not grouped.
        part: in pixels, the tile nearest to the query of a picture longer than 2:1; ``None`` for the whole picture.
        taken_source: source of `taken_at` (`clipsearch.media.metadata.values.Source`); ``None`` without it.
        latitude: where the picture was taken, degrees north; ``None`` if unknown.
        longitude: degrees east, with `latitude`.
        position_source: source of the position.
        matched: why it is a result of a query with words: texts that have them, and ``looks like`` (docs/text.md).
        place: town, region and country; ``None`` if unknown.
        segment: what of the file matches; of a video its best moment.
        duration_s: of a video, in seconds; ``None`` for a picture.
        taken_precision: ``year`` or ``month`` if no more of `taken_at` is known, which is then the first of it.
    """

    path: Path
    score: float | None
    rank: int
    width: int
    height: int
    format: str
    content_hash: str
    taken_at: datetime | None = None
    online: bool = True
    thumbnail: Path | None = None
    match: Match | None = None
    probability: float | None = None
    copies: tuple[Path, ...] = ()
    near_duplicates: tuple[Path, ...] = ()
    part: Box | None = None
    stack: tuple[Path, ...] = ()
    taken_source: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    position_source: str | None = None
    matched: tuple[Evidence, ...] = ()
    place: str | None = None
    segment: ResultSegment = ResultSegment()
    duration_s: float | None = None
    taken_precision: str | None = None

    @property
    def is_match(self) -> bool:
        """Whether it shows what the query says, or its texts do, or nothing is known of that."""
        return self.match != "none" or any(item.kind != "looks like" for item in self.matched)


class SearchResults(list[SearchResult]):
    """Results, best first, and what a person should know of how they were found.

    Attributes:
        notices: lines: words that the model does not know, or a filter that may have been meant.
    """

    def __init__(self, results: Iterable[SearchResult] = (), *, notices: Iterable[str] = ()) -> None:
        super().__init__(results)
        self.notices = tuple(notices)


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options of a search, for `Library`, its HTTP client, the server, the CLI and the web page.

    Attributes:
        k: maximum number of results, from 1.
        offset: number of the best results to skip, from 0.
        where: filters in addition to those of the query: ``"date:2021 folder:Crete"``.
        sort: order of the k best results: ``score``, ``date`` (newest first) or ``path``. A query of filters only is
            sorted as a whole, by path or the newest first.
        sort_window: number of the best results to sort before `offset` and `k` apply, so that pages are consistent;
            ``None`` to sort only the `k` best after `offset`.
        group: ``stacks`` makes one result of RAW and JPEG of an exposure, of a Live Photo and its film and of a photo
            and its edit on a phone (docs/indexing.md), ``copies`` also of files with the same content, ``duplicates``
            also of other versions of a picture; with ``none`` every file is a result.
        min_match: exclude results that match less than ``strong`` or ``possible`` (docs/matching.md), unless their
            texts have the words.
        by: search words by ``meaning``, by ``text``, or by ``both`` (docs/text.md).
        moments: return every moment of a video that matches as a result (docs/video.md), not only its best one.
    """

    k: int = 10
    offset: int = 0
    where: str = ""
    sort: Sort = "score"
    sort_window: int | None = None
    group: Group = "stacks"
    min_match: MinMatch = "any"
    by: By = "both"
    moments: bool = False

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.offset < 0:
            raise QueryError(f"the offset must be at least 0, not {self.offset}")
        if self.sort_window is not None and self.sort_window < 1:
            raise QueryError(f"sort_window must be at least 1, not {self.sort_window}")
        if self.sort not in SORTS:
            raise QueryError(f"results can be sorted by {', '.join(SORTS)}, not by {self.sort}")
        if self.group not in GROUPS:
            raise QueryError(f"results can be grouped by {', '.join(GROUPS)}, not by {self.group}")
        if self.min_match not in MIN_MATCHES:
            raise QueryError(f"a match can be {', '.join(MIN_MATCHES)}, not {self.min_match}")
        if self.by not in BYS:
            raise QueryError(f"a search can be by {', '.join(BYS)}, not by {self.by}")

    @property
    def filter(self) -> Filter | None:
        """The filter of `where`; ``None`` without any.

        Raises:
            QueryError: `where` is invalid or has more than filters.
        """
        query = parse_query(self.where) if self.where.strip() else Query()
        if query.terms:
            raise QueryError(f"`where` accepts filters only; remove {Query(query.terms)}")
        return query.filter


RESULT_FIELDS = (
    "rank", "score", "path", "width", "height", "format", "taken_at", "online", "content_hash", "thumbnail", "copies",
    "match", "probability", "near_duplicates", "part", "stack",
    "taken_source", "latitude", "longitude", "position_source", "matched", "place", "segment", "duration_s",
    "taken_precision",
)  # fmt: skip
"""The fields of `result_to_json`, and the columns of ``--csv`` in this order; append new ones."""


def notices_of(results: Sequence[SearchResult]) -> list[str]:
    """The lines for the user that came with results; none for those of filters alone or pictures."""
    return list(getattr(results, "notices", ()))


def result_to_json(result: SearchResult) -> dict[str, Any]:
    """A result as a JSON object, as docs/output.md specifies it.

    Bytes of the path that are not UTF-8 are lone surrogates, U+DC80 to U+DCFF, as in `os.fsdecode`.
    """
    converted = {
        "score": None if result.score is None else round(float(result.score), 6),
        "path": str(result.path),
        "taken_at": result.taken_at.isoformat() if result.taken_at else None,
        "thumbnail": str(result.thumbnail) if result.thumbnail else None,
        "copies": [str(path) for path in result.copies],
        "probability": None if result.probability is None else round(result.probability, 4),
        "near_duplicates": [str(path) for path in result.near_duplicates],
        "stack": [str(path) for path in result.stack],
        "segment": {name: getattr(result.segment, name) for name in ("kind", "start_s", "end_s", "at_s")},
        "part": _sides(result.part),
        "matched": [{"kind": item.kind, "excerpt": item.excerpt, "box": _sides(item.box)} for item in result.matched],
    }
    return {name: converted[name] if name in converted else getattr(result, name) for name in RESULT_FIELDS}


def _sides(box: Box | None) -> list[int] | None:
    """x, y, width and height in pixels."""
    return None if box is None else [round(side) for side in (box.x, box.y, box.width, box.height)]
