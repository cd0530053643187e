"""What a server's JSON says, as the values that the library itself gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from clipsearch.browse.details import HeldFile, PictureDetails
from clipsearch.catalog.facets import Facets, FacetValue
from clipsearch.errors import LibraryError
from clipsearch.media.box import Box
from clipsearch.media.metadata.reading import ImageMetadata
from clipsearch.retrieval.results import SearchResult

_Value = TypeVar("_Value")

_KNOWN_METADATA = frozenset(field.name for field in fields(ImageMetadata))


def read_reply(content: bytes, read: Callable[[Mapping[str, Any]], _Value]) -> _Value:
    """What an answer says.

    Raises:
        LibraryError: it is not what such a server answers.
    """
    try:
        return read(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(
            f"the server's answer cannot be understood ({type(error).__name__}: {error}); "
            "is it clipsearch serve of this version?"
        ) from error


def results_of(content: Mapping[str, Any]) -> list[SearchResult]:
    """Results of a search; the thumbnail of each is where it is on the server."""
    return [_result(record) for record in content["results"]]


def details_of(record: Mapping[str, Any]) -> PictureDetails:
    """One picture with all that is known of it."""
    known = {name: value for name, value in record["metadata"].items() if name in _KNOWN_METADATA}
    known["taken_at"] = _moment(known.get("taken_at"))
    known["keywords"] = tuple(known.get("keywords") or ())
    return PictureDetails(
        content_hash=record["content_hash"],
        files=tuple(
            HeldFile(Path(file["path"]), file["online"], file["size"], datetime.fromisoformat(file["modified_at"]))
            for file in record["files"]
        ),
        width=record["width"],
        height=record["height"],
        format=record["format"],
        metadata=ImageMetadata(**known),
        tags=tuple(record["tags"]),
        thumbnail=_path(record["thumbnail"]),
    )


def facets_of(record: Mapping[str, Any]) -> Facets:
    """What the files of the library have in common."""
    return Facets(**{field.name: _facet(record[field.name]) for field in fields(Facets)})


def _result(record: Mapping[str, Any]) -> SearchResult:
    return SearchResult(
        path=Path(record["path"]),
        score=record["score"],
        rank=record["rank"],
        width=record["width"],
        height=record["height"],
        format=record["format"],
        content_hash=record["content_hash"],
        taken_at=_moment(record["taken_at"]),
        online=record["online"],
        thumbnail=_path(record["thumbnail"]),
        match=record["match"],
        probability=record["probability"],
        copies=tuple(Path(path) for path in record["copies"]),
        near_duplicates=tuple(Path(path) for path in record["near_duplicates"]),
        part=Box(*record["part"]) if record["part"] is not None else None,
    )


def _facet(value: Any) -> Any:
    if isinstance(value, int):
        return value
    return tuple(FacetValue(each["value"], each["count"]) for each in value)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _path(address: str | None) -> Path | None:
    return Path(address) if address is not None else None
