"""A concept as a file, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ConfigError
from clipsearch.labeling.concepts.concept_space import ConceptSpace, fit_of
from clipsearch.labeling.concepts.service import find, show
from clipsearch.labeling.concepts.values import ConceptDetails

_KIND = "clipsearch concept"
_VERSION = 1


def export_concept(space: ConceptSpace, name: str, file: Path) -> None:
    """Write a concept to a new file; see `Library.concepts.export`."""
    concept = find(space.store, name)
    fit_of(space, concept)
    text = json.dumps(concept_json(show(space.store, concept, space.model), space.model), indent=2) + "\n"
    try:
        with file.open("x", encoding="ascii") as written:
            written.write(text)
    except FileExistsError as error:
        raise ConfigError(f"there is something at {file} already; name a file that is to be made") from error
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from error


def concept_json(concept: ConceptDetails, model: ModelRecord) -> dict[str, Any]:
    """All of a concept but its pictures; the direction is of unit length, in the model's space."""
    fit = asdict(concept.fit) if concept.fit is not None else None
    return {
        "kind": _KIND,
        "version": _VERSION,
        "name": concept.name,
        "text": concept.text,
        "added_at": concept.added_at.isoformat(timespec="seconds"),
        "model": {"spec": model.spec, "fingerprint": model.fingerprint, "dim": model.dim},
        "fit": {**fit, "direction": fit["direction"].tolist()} if fit is not None else None,
        "examples": [{"content_hash": item.content_hash, "positive": item.positive} for item in concept.examples],
    }
