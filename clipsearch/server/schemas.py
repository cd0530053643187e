"""What requests and answers are made of, as the OpenAPI document describes it."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clipsearch.retrieval.results import SearchOptions
from clipsearch.server.settings import MAX_BOX_LENGTH, MAX_OFFSET, MAX_QUERY_LENGTH, MAX_RESULTS

Hash = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Digits = Annotated[
    str, Field(pattern="^[0-9a-f]{6,32}$", description="The first digits of a content hash, or all of it.")
]

QueryLine = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY_LENGTH,
        description="Words, weights, filters, pictures of the library as ~# and digits of their hash, and concepts "
        "as @name: docs/query.md. A path after ~ is refused.",
        examples=["beach -people date:2021"],
    ),
]
Count = Annotated[int, Field(ge=1, le=MAX_RESULTS, description="How many results at most.")]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="How many of the best to pass over.")]
SortOrder = Annotated[
    Literal["score", "date", "path"],
    Field(description="The order in which the k best are given; date begins with the newest."),
]
Minimum = Annotated[
    Literal["strong", "possible", "any"], Field(description="Leave out results that match less: docs/matching.md.")
]
SortWindow = Annotated[
    int | None,
    Field(ge=1, le=MAX_OFFSET, description="Sort so many of the best as a whole; without it each k best are sorted."),
]
Grouping = Annotated[
    Literal["none", "copies", "duplicates"],
    Field(description="One result for all files of the same content, or for all versions of a photo too."),
]
Where = Annotated[
    str,
    Field(max_length=MAX_QUERY_LENGTH, description="Filters that results have to pass.", examples=["date:2021"]),
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
    """Which results are wanted, and in which order; `clipsearch.retrieval.results.SearchOptions` within limits."""

    model_config = ConfigDict(extra="forbid")

    k: Count = 10
    offset: Offset = 0
    where: Where = ""
    sort: SortOrder = "score"
    sort_window: SortWindow = None
    group: Grouping = "none"

    def options(self) -> SearchOptions:
        """The same for the library."""
        names = {field.name for field in fields(SearchOptions)}
        return SearchOptions(**self.model_dump(include=names))


class PictureLikenessRequest(SearchParameters):
    """A search for what is like a picture of the library, or like a part of it."""

    box: PartOfPicture = None


class MatchingRequest(SearchParameters):
    """Which results are wanted of what can be told apart by how well it matches."""

    min_match: Minimum = "any"


class SearchRequest(MatchingRequest):
    """A search."""

    query: QueryLine


class FacetsRequest(BaseModel):
    """Of which files is wanted what they have in common."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[
        str,
        Field(
            max_length=MAX_QUERY_LENGTH,
            description="A query line, of which only the filters count; all files without one.",
            examples=["date:2021"],
        ),
    ] = ""


class ExplanationRequest(BaseModel):
    """What a picture is looked at for."""

    model_config = ConfigDict(extra="forbid")

    query: QueryLine
    box: PartOfPicture = None


class Result(BaseModel):
    """A picture that was found: docs/output.md, but for `thumbnail`, which is an address of this server."""

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
    match: Literal["strong", "possible", "none"] | None
    probability: Annotated[float, Field(ge=0, le=1)] | None
    near_duplicates: list[str]
    part: Annotated[list[int], Field(min_length=4, max_length=4)] | None


class Results(BaseModel):
    """What was found, best first."""

    results: list[Result]


class PictureFile(BaseModel):
    """A file that holds a picture."""

    path: str
    online: bool
    size: int
    modified_at: str


class Picture(BaseModel):
    """All that the library knows of a picture."""

    content_hash: Hash
    width: int
    height: int
    format: str
    files: list[PictureFile]
    tags: list[str]
    metadata: dict[str, Any]
    thumbnail: str


class Versions(BaseModel):
    """The files that hold another version of a picture, by path."""

    paths: list[str]


class CountedValue(BaseModel):
    """A value that files share, as the query language writes it, and how many do."""

    value: str
    count: int


class LibraryFacets(BaseModel):
    """What files have in common, to choose filters from: of each kind the most frequent first, months in order."""

    total: int
    months: list[CountedValue]
    undated: int
    cameras: list[CountedValue]
    lenses: list[CountedValue]
    folders: list[CountedValue]
    extensions: list[CountedValue]
    orientations: list[CountedValue]
    ratings: list[CountedValue]
    keywords: list[CountedValue]
    tags: list[CountedValue]
    roots: list[CountedValue]
    located: int


class SavedSearch(BaseModel):
    """A search that was kept by name."""

    name: str
    query: str
    saved_at: str


class SavedSearches(BaseModel):
    """The searches that were kept, by name."""

    saved: list[SavedSearch]


class Folder(BaseModel):
    """An indexed folder."""

    path: str
    files: int
    online: bool


class Status(BaseModel):
    """What the library holds."""

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
    """Whether the server is there."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the server can answer searches, and what each part says."""

    ready: bool
    checks: dict[str, str]


class Problem(BaseModel):
    """What is wrong with a request: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    position: Annotated[int | None, Field(description="Where in the query, from 0.")] = None
    errors: Annotated[list[dict[str, str]] | None, Field(description="What is wrong with which part.")] = None
