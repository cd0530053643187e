"""Schemas of requests and responses for the OpenAPI document."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clipsearch.retrieval.relevance.calibration import Match, MinMatch
from clipsearch.retrieval.results import By, Group, SearchOptions, Sort
from clipsearch.server.settings import MAX_BOX_LENGTH, MAX_OFFSET, MAX_QUERY_LENGTH, MAX_RESULTS

Hash = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Digits = Annotated[str, Field(pattern="^[0-9a-f]{6,32}$", description="A content hash, or its first digits.")]

QueryLine = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY_LENGTH,
        description="Texts, weights, filters, pictures of the library as ~# and digits of their hash, and concepts "
        "as @name: docs/query.md. Paths after ~ are refused.",
        examples=["beach -people date:2021"],
    ),
]
Count = Annotated[int, Field(ge=1, le=MAX_RESULTS, description="Maximum number of results.")]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="Number of the best results to skip.")]
SortOrder = Annotated[Sort, Field(description="Order of the k best results; date: newest first.")]
Minimum = Annotated[MinMatch, Field(description="Exclude results that match less: docs/matching.md.")]
SortWindow = Annotated[
    int | None,
    Field(
        ge=1, le=MAX_OFFSET, description="Number of the best results to sort as a whole; otherwise each page is sorted."
    ),
]
Grouping = Annotated[
    Group,
    Field(
        description="One result for all files of a stack (RAW and JPEG, a Live Photo), also for copies, or also for "
        "near-duplicates."
    ),
]
Where = Annotated[
    str, Field(max_length=MAX_QUERY_LENGTH, description="Filters on the results.", examples=["date:2021"])
]
PartOfPicture = Annotated[
    str | None,
    Field(
        max_length=MAX_BOX_LENGTH,
        description="A part of the picture: x,y,width,height in pixels, or all in percent.",
        examples=["10%,10%,50%,50%"],
    ),
]


class SearchParameters(BaseModel):
    """`clipsearch.retrieval.results.SearchOptions` within limits."""

    model_config = ConfigDict(extra="forbid")

    k: Count = 10
    offset: Offset = 0
    where: Where = ""
    sort: SortOrder = "score"
    sort_window: SortWindow = None
    group: Grouping = "stacks"
    moments: Annotated[bool, Field(description="Every moment of a video that matches is a result.")] = False

    def options(self) -> SearchOptions:
        """The options for `Library.search`."""
        names = {field.name for field in fields(SearchOptions)}
        return SearchOptions(**self.model_dump(include=names))


class PictureLikenessRequest(SearchParameters):
    """A search by a picture of the library, or by a part of it."""

    box: PartOfPicture = None
    at_s: Annotated[
        float | None, Field(ge=0, description="Only the frame of the video at this time, in seconds from its start.")
    ] = None


class MatchingRequest(SearchParameters):
    """Search parameters of text queries."""

    min_match: Minimum = "any"
    by: Annotated[By, Field(description="Search words by meaning, by text, or by both: docs/text.md.")] = "both"


class SearchRequest(MatchingRequest):
    """A search by a query line."""

    query: QueryLine


class FacetsRequest(BaseModel):
    """The files to count facets of."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[
        str,
        Field(
            max_length=MAX_QUERY_LENGTH,
            description="A query line; only its filters are used. All files by default.",
            examples=["date:2021"],
        ),
    ] = ""


class ExplanationRequest(BaseModel):
    """The query to explain a match with."""

    model_config = ConfigDict(extra="forbid")

    query: QueryLine
    box: PartOfPicture = None


class Evidence(BaseModel):
    """Why a picture is a result: docs/output.md."""

    kind: str
    excerpt: str
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None


class ResultSegment(BaseModel):
    """What of a file matches; the times are in seconds, and null for a picture."""

    kind: Literal["image", "tile", "video", "frame"]
    start_s: float | None
    end_s: float | None
    at_s: float | None


class Result(BaseModel):
    """A search result: docs/output.md; `thumbnail` is a URL of this server."""

    rank: Annotated[int, Field(ge=1)]
    score: float | None
    path: str
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    format: str
    taken_at: str | None
    online: bool
    content_hash: Hash
    thumbnail: str | None
    copies: list[str]
    match: Match | None
    probability: Annotated[float, Field(ge=0, le=1)] | None
    near_duplicates: list[str]
    part: Annotated[list[int], Field(min_length=4, max_length=4)] | None
    stack: list[str]
    taken_source: str | None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None
    position_source: str | None
    matched: list[Evidence]
    place: str | None
    segment: ResultSegment
    duration_s: Annotated[float, Field(gt=0)] | None
    taken_precision: Literal["year", "month"] | None


class Results(BaseModel):
    """Search results, best first."""

    results: list[Result]
    notices: Annotated[
        list[str],
        Field(description="Lines for people: words that the model does not know, a filter that was perhaps meant."),
    ] = []


class PictureFile(BaseModel):
    """A file of a picture."""

    path: str
    online: bool
    size: int
    modified_at: str | None


class Segment(BaseModel):
    """What of a picture or video: the whole, a tile, or a frame."""

    kind: str
    position: int


class TextLine(BaseModel):
    """A line of text in a picture, with its box in upright pixels: docs/text.md."""

    text: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    script: str
    box: Annotated[list[int], Field(min_length=4, max_length=4)]
    segment: Segment


class Picture(BaseModel):
    """A picture with its files, metadata, tags and the text in it."""

    content_hash: Hash
    width: int
    height: int
    format: str
    files: list[PictureFile]
    tags: list[str]
    metadata: dict[str, Any]
    place: str | None
    text: list[TextLine]
    duration_s: float | None
    frame_rate: float | None
    codec: str | None
    thumbnail: str


class Versions(BaseModel):
    """Files with another version of a picture, by path."""

    paths: list[str]


class CountedValue(BaseModel):
    """A value in query syntax, and its number of files."""

    value: str
    count: int


class LibraryFacets(BaseModel):
    """Facets: the most frequent value first, months in order."""

    total: int
    months: list[CountedValue]
    undated: int
    cameras: list[CountedValue]
    lenses: list[CountedValue]
    folders: list[CountedValue]
    extensions: list[CountedValue]
    orientations: list[CountedValue]
    places: list[CountedValue]
    ratings: list[CountedValue]
    keywords: list[CountedValue]
    tags: list[CountedValue]
    roots: list[CountedValue]
    located: int


class SavedSearch(BaseModel):
    """A saved search."""

    name: str
    query: str
    saved_at: str


class SavedSearches(BaseModel):
    """Saved searches, by name."""

    saved: list[SavedSearch]


class Folder(BaseModel):
    """An indexed folder."""

    path: str
    files: int
    online: bool


class Status(BaseModel):
    """Counts, model and folders of the library."""

    version: str
    model: str | None
    dim: int | None
    precision: str | None
    files: int
    pictures: int
    failures: int
    revision: int
    folders: list[Folder]


class Health(BaseModel):
    """Liveness."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the server can answer searches, and the state of each part."""

    ready: bool
    checks: dict[str, str]


class Problem(BaseModel):
    """Problem details: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    position: Annotated[int | None, Field(description="Position in the query, from 0.")] = None
    errors: Annotated[
        list[dict[str, str]] | None, Field(description="Error and location of each invalid parameter.")
    ] = None
