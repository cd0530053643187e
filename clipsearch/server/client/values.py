"""Parse the server's JSON into the values of the local API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from clipsearch.browse.details import PictureDetails, PictureFile
from clipsearch.catalog.facets import Facets, FacetValue
from clipsearch.catalog.full_text import OcrLine
from clipsearch.errors import LibraryError
from clipsearch.media.box import Box
from clipsearch.media.metadata.values import metadata_from_fields
from clipsearch.media.segments import Segment, SegmentKind
from clipsearch.retrieval.results import Evidence, ResultSegment, SearchResult, SearchResults

_Value = TypeVar("_Value")


def read_reply(content: bytes, read: Callable[[Mapping[str, Any]], _Value]) -> _Value:
    """Parse a response.

    Raises:
        LibraryError: the response is not of a compatible server.
    """
    try:
        return read(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(
            f"cannot parse the server's response ({type(error).__name__}: {error}); "
            "check that it is clipsearch serve of this version"
        ) from error


def results_of(content: Mapping[str, Any]) -> SearchResults:
    """Search results; thumbnails are paths on the server."""
    return SearchResults(map(_result, content["results"]), notices=map(str, content.get("notices", ())))


def details_of(record: Mapping[str, Any]) -> PictureDetails:
    """A picture with its metadata."""
    return PictureDetails(
        content_hash=record["content_hash"],
        files=tuple(
            PictureFile(
                path=Path(file["path"]),
                content_hash=record["content_hash"],
                online=file["online"],
                size=file["size"],
                modified_at=_moment(file["modified_at"]),
            )
            for file in record["files"]
        ),
        width=record["width"],
        height=record["height"],
        format=record["format"],
        metadata=metadata_from_fields(record["metadata"]),
        tags=tuple(record["tags"]),
        place=record["place"],
        thumbnail=_path(record["thumbnail"]),
        lines=tuple(map(_line, record["text"])),
        duration_s=record["duration_s"],
        frame_rate=record["frame_rate"],
        codec=record["codec"],
    )


def facets_of(record: Mapping[str, Any]) -> Facets:
    """Facet counts."""
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
        taken_source=record["taken_source"],
        taken_precision=record["taken_precision"],
        online=record["online"],
        thumbnail=_path(record["thumbnail"]),
        match=record["match"],
        probability=record["probability"],
        copies=tuple(Path(path) for path in record["copies"]),
        near_duplicates=tuple(Path(path) for path in record["near_duplicates"]),
        part=Box(*record["part"]) if record["part"] is not None else None,
        stack=tuple(Path(path) for path in record["stack"]),
        latitude=record["latitude"],
        longitude=record["longitude"],
        position_source=record["position_source"],
        matched=tuple(
            Evidence(item["kind"], item["excerpt"], Box(*item["box"]) if item["box"] is not None else None)
            for item in record["matched"]
        ),
        place=record["place"],
        segment=ResultSegment(**{**record["segment"], "kind": SegmentKind(record["segment"]["kind"])}),
        duration_s=record["duration_s"],
    )


def _line(record: Mapping[str, Any]) -> OcrLine:
    x, y, width, height = record["box"]
    segment = Segment(SegmentKind(record["segment"]["kind"]), record["segment"]["position"])
    return OcrLine(segment, record["text"], record["confidence"], record["script"], (x, y, width, height))


def _facet(value: Any) -> Any:
    if isinstance(value, int):
        return value
    return tuple(FacetValue(each["value"], each["count"]) for each in value)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _path(address: str | None) -> Path | None:
    return Path(address) if address is not None else None
