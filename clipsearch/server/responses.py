"""JSON responses, and the error responses of the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from clipsearch.retrieval.results import notices_of, result_to_json
from clipsearch.server.schemas import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from clipsearch.browse.details import PictureDetails
    from clipsearch.catalog.saved_searches import SavedSearchRecord
    from clipsearch.library import Library
    from clipsearch.retrieval.results import SearchResult


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (401, "Missing or unknown token."),
        (403, "The token lacks the scope."),
        (422, "Invalid request."),
        (429, "Too many requests."),
        (503, "Overloaded, or the library cannot be searched now."),
        (504, "Timeout."),
    )
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "Not found in the library."}}
WITH_BODY: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Malformed body."},
    408: {"model": Problem, "description": "The body was not received in time."},
    413: {"model": Problem, "description": "The body is too large."},
}


class AsciiJson(Response):
    """ASCII JSON: paths may contain lone surrogates (docs/output.md)."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The encoded content."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def results_to_json(results: Sequence[SearchResult]) -> dict[str, Any]:
    """Search results and notices, with preview URLs of this server."""
    return {
        "notices": notices_of(results),
        "results": [
            {
                **result_to_json(result),
                "thumbnail": _thumbnail(result.content_hash) if result.thumbnail is not None else None,
            }
            for result in results
        ],
    }


def picture_to_json(picture: PictureDetails) -> dict[str, Any]:
    """A picture with its files, metadata and tags."""
    return {
        "content_hash": picture.content_hash,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "files": [
            {
                "path": str(file.path),
                "online": file.online,
                "size": file.size,
                "modified_at": file.modified_at.isoformat() if file.modified_at is not None else None,
            }
            for file in picture.files
        ],
        "tags": list(picture.tags),
        "metadata": {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(picture.metadata).items()
        },
        "place": picture.place,
        "text": [
            {
                "text": line.text,
                "confidence": round(line.confidence, 4),
                "script": line.script,
                "box": list(line.box),
                "segment": {"kind": str(line.segment.kind), "position": line.segment.position},
            }
            for line in picture.lines
        ],
        "duration_s": picture.duration_s,
        "frame_rate": picture.frame_rate,
        "codec": picture.codec,
        "thumbnail": _thumbnail(picture.content_hash),
    }


def versions_to_json(paths: Sequence[Path]) -> dict[str, Any]:
    """Files with other versions of a picture."""
    return {"paths": [str(path) for path in paths]}


def saved_to_json(saved: Sequence[SavedSearchRecord]) -> dict[str, Any]:
    """The saved searches."""
    return {
        "saved": [
            {"name": record.name, "query": record.line, "saved_at": record.saved_at.isoformat()} for record in saved
        ]
    }


def status_to_json(library: Library) -> dict[str, Any]:
    """Counts, model and folders of a library."""
    model, counts = library.active_model(), library.counts()
    return {
        "version": version("clipsearch"),
        "model": model.spec if model is not None else None,
        "dim": model.dim if model is not None else None,
        "precision": model.precision if model is not None else None,
        "files": counts.files,
        "pictures": counts.images,
        "failures": counts.failures,
        "revision": library.revision(),
        "folders": [
            {"path": str(root.path), "files": root.files, "online": root.online} for root in library.roots.all()
        ],
    }


def _thumbnail(content_hash: str) -> str:
    return f"/v1/thumbnails/{content_hash}"
