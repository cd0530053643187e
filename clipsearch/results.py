"""What a search is asked for and what it gives, apart from the query itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from clipsearch.boxes import Box
from clipsearch.calibration import MIN_MATCHES, Match, MinMatch
from clipsearch.errors import QueryError
from clipsearch.query import check_k

Sort: TypeAlias = Literal["score", "date", "path"]
SORTS: tuple[str, ...] = get_args(Sort)


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


@dataclass(frozen=True)
class Shown:
    """Which results are wanted and how they are shown.

    Attributes:
        k: how many at most, from 1.
        offset: how many of the best to pass over, from 0.
        sort: ``score``, or the results shown in the order of ``date`` (newest first) or ``path``.
        among: how many of the best are put in that order, of which `k` from `offset` on are wanted; ``None`` for just
            the `k` best after `offset`.
        group_copies: one result for all files of the same content.
        group_duplicates: one result for all files of the same content and of other versions of the picture.
        min_match: leave out results that match less.
    """

    k: int = 10
    offset: int = 0
    sort: Sort = "score"
    among: int | None = None
    group_copies: bool = False
    group_duplicates: bool = False
    min_match: MinMatch = "any"

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.offset < 0:
            raise QueryError(f"the offset must be at least 0, not {self.offset}")
        if self.among is not None and self.among < 1:
            raise QueryError(f"results can be put in order among 1 or more, not among {self.among}")
        if self.sort not in SORTS:
            raise QueryError(f"results can be sorted by {', '.join(SORTS)}, not by {self.sort}")
        if self.min_match not in MIN_MATCHES:
            raise QueryError(f"a match can be {', '.join(MIN_MATCHES)}, not {self.min_match}")
