"""What the library gives as the JSON of answers, and how the OpenAPI document describes those that refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from clipsearch.retrieval.results_json import result_to_json
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
        (401, "No token, or one that is not known."),
        (403, "The token does not have the scope."),
        (422, "What is asked for is wrong."),
        (429, "Too many requests."),
        (503, "Too much is waiting, or the library cannot be searched now."),
        (504, "It took too long."),
    )
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "The library does not hold it."}}
WITH_BODY: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body cannot be made out."},
    408: {"model": Problem, "description": "The body did not come in time."},
    413: {"model": Problem, "description": "The body is too large."},
}


class AsciiJson(Response):
    """JSON of ASCII: paths may hold bytes that are no text, which are lone surrogates (docs/output.md)."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the answer."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def results_to_json(results: Sequence[SearchResult]) -> dict[str, Any]:
    """The results of a search, with addresses of this server for their previews."""
    return {
        "results": [
            {
                **result_to_json(result),
                "thumbnail": _thumbnail(result.content_hash) if result.thumbnail is not None else None,
            }
            for result in results
        ]
    }


def picture_to_json(picture: PictureDetails) -> dict[str, Any]:
    """One picture with all that is known of it."""
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
                "modified_at": file.modified_at.isoformat(),
            }
            for file in picture.files
        ],
        "tags": list(picture.tags),
        "metadata": {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(picture.metadata).items()
        },
        "thumbnail": _thumbnail(picture.content_hash),
    }


def versions_to_json(paths: Sequence[Path]) -> dict[str, Any]:
    """The files of other versions of a picture."""
    return {"paths": [str(path) for path in paths]}


def saved_to_json(saved: Sequence[SavedSearchRecord]) -> dict[str, Any]:
    """The saved searches."""
    return {
        "saved": [
            {"name": record.name, "query": record.line, "saved_at": record.saved_at.isoformat()} for record in saved
        ]
    }


def status_to_json(library: Library) -> dict[str, Any]:
    """What a library holds."""
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
