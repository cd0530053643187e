"""What a search is asked for and what it gives, apart from the query itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from clipsearch.errors import QueryError
from clipsearch.media.box import Box
from clipsearch.query import Filter, Query, check_k, parse_query
from clipsearch.retrieval.relevance.calibration import MIN_MATCHES, Match, MinMatch

Sort: TypeAlias = Literal["score", "date", "path"]
SORTS: tuple[str, ...] = get_args(Sort)

Group: TypeAlias = Literal["none", "copies", "duplicates"]
GROUPS: tuple[str, ...] = get_args(Group)


@dataclass(frozen=True)
class SearchResult:
    """A file that answers a query.

    Attributes:
        path: where it is, or was when it was indexed.
        score: cosine similarity between query and picture, -1 to 1; ``None`` if the query has filters only.
        rank: 1 for the best.
        width: of the picture as it is looked at, in pixels.
        height: likewise.
        format: Pillow's name of its format, for example ``JPEG``.
        content_hash: XXH3-128 of the file's bytes, hex; the same for copies.
        taken_at: when the picture was taken, on the camera's clock; ``None`` if the file does not tell.
        online: whether the drive it is on is there now.
        thumbnail: a preview in the library, there also when the drive is not; ``None`` if there is none.
        match: ``strong``, ``possible`` or ``none``; ``None`` where only words would tell: for pictures, filters alone.
        probability: that the library holds a match if this is its best, 0 to 1 (docs/matching.md); with `match`.
        copies: further files with the same content that answer the query, where results are grouped, by path.
        near_duplicates: files with another version of the picture that answer the query, likewise: re-saved, resized,
            lightly cropped or edited.
        part: of a picture longer than 2:1, the part that is nearest to the query, in pixels; ``None`` if that is the
            whole picture.
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


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search takes besides its query: the same for `Library`, its client, the server, the CLI and the page.

    Attributes:
        k: how many results at most, from 1.
        offset: how many of the best to pass over, from 0.
        where: filters that results have to pass besides those of the query: ``"date:2021 folder:Crete"``.
        sort: ``score``; or ``date`` (newest first) or ``path``, the order in which the k best are shown. Filters alone
            are always in order as a whole: by path, or the newest first.
        sort_window: sort so many of the best, and show k of these from `offset` on, so that one page carries on where
            the one before it ended; ``None`` to sort just the `k` best after `offset`.
        group: ``copies`` makes all files of the same content one result, ``duplicates`` also all files of other
            versions of the picture; ``none`` makes every file one.
        min_match: leave out what matches less than ``strong`` or ``possible`` (docs/matching.md).
    """

    k: int = 10
    offset: int = 0
    where: str = ""
    sort: Sort = "score"
    sort_window: int | None = None
    group: Group = "none"
    min_match: MinMatch = "any"

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

    @property
    def filter(self) -> Filter | None:
        """The filter of `where`; ``None`` without any.

        Raises:
            QueryError: it is wrong, or has more than filters.
        """
        query = parse_query(self.where) if self.where.strip() else Query()
        if query.terms:
            raise QueryError(f"`where` accepts filters only; remove {Query(query.terms)}")
        return query.filter
