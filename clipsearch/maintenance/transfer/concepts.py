"""The named concepts of an export, as ``concepts.json`` in every format.

``models`` lists the models that the library has, with ``spec``, ``fingerprint`` and ``dim``. ``concepts`` lists the
concepts: ``name``, ``text``, ``added_at``, ``examples`` and ``fits``. An example is a ``content_hash``, and whether
that picture shows it (``positive``); of a picture outside of the library there are its ``path`` and a ``preview``, a
JPEG in Base64, as well; ``embedding`` is its embedding by the ``model`` with that index in ``models``, or null. A fit
is what was fitted for a ``model``: the ``direction`` (of unit length) that ``@name`` looks for, and how it was made.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.concept_records import ConceptExample, ConceptFit
from clipsearch.catalog.path_text import path_to_text
from clipsearch.catalog.transfer_concepts import ExchangedConcept, ExchangedConcepts, ExchangedModel
from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.labeling.concepts.names import checked_name
from clipsearch.maintenance.check.embeddings import UNIT_TOLERANCE
from clipsearch.maintenance.transfer.manifest import is_absolute_somewhere
from clipsearch.maintenance.transfer.rows import content_hash, typed
from clipsearch.media.decoding import decode_image
from clipsearch.text import fold

CONCEPTS_NAME = "concepts.json"

_JPEG = b"\xff\xd8"
_REALS = ("scale", "intercept", "text_share", "regularisation")
_COUNTS = ("positives", "negatives", "drawn")


def write_concepts(directory: Path, exchanged: ExchangedConcepts) -> None:
    """Write concepts in ASCII: a byte of a path that is not UTF-8 is a lone surrogate, as in ``images.jsonl``."""
    value = {
        "models": [vars(model) for model in exchanged.models],
        "concepts": [_to_json(concept) for concept in exchanged.concepts],
    }
    (directory / CONCEPTS_NAME).write_text(json.dumps(value) + "\n", encoding="ascii")


def read_concepts(directory: Path) -> ExchangedConcepts:
    """Read concepts, and check everything.

    Raises:
        ValueError: the file is damaged; also `KeyError`, `TypeError` and `OSError`.
    """
    value = json.loads((directory / CONCEPTS_NAME).read_bytes())
    models = tuple(_model(model) for model in typed("models", value["models"], list))
    concepts = tuple(_concept(concept, models) for concept in typed("concepts", value["concepts"], list))
    if len({fold(concept.name) for concept in concepts}) < len(concepts) or len(set(models)) < len(models):
        raise ValueError("a concept or a model occurs twice")
    return ExchangedConcepts(models, concepts)


def _to_json(concept: ExchangedConcept) -> dict[str, Any]:
    return {
        "name": concept.name,
        "text": concept.text,
        "added_at": concept.added_at.isoformat(),
        "examples": [
            {
                "content_hash": example.content_hash,
                "positive": example.positive,
                "path": example.path,
                "preview": base64.b64encode(example.preview).decode() if example.preview is not None else None,
                "model": example.model_id if example.vector is not None else None,
                "embedding": example.vector.tolist() if example.vector is not None else None,
            }
            for example in concept.examples
        ],
        "fits": [
            {"model": model, **{**vars(fit), "direction": fit.direction.tolist()}}
            for model, fit in sorted(concept.fits.items())
        ],
    }


def _model(value: Any) -> ExchangedModel:
    spec, fingerprint = (typed(name, value[name], str) for name in ("spec", "fingerprint"))
    dim = typed("dim", value["dim"], int)
    if not (spec and fingerprint and dim > 0):
        raise ValueError("a model of the concepts makes no sense")
    return ExchangedModel(spec, fingerprint, dim)


def _concept(value: Any, models: tuple[ExchangedModel, ...]) -> ExchangedConcept:
    name, text = typed("name", value["name"], str), value["text"]
    if text is not None and not (" ".join(typed("text", text, str).split()) == text != ""):
        raise ValueError("the text of a concept is not as it should be")
    added_at = datetime.fromisoformat(value["added_at"])
    examples = tuple(_example(example, models) for example in typed("examples", value["examples"], list))
    hashes = {example.content_hash for example in examples}
    shows_it = any(example.positive for example in examples)
    if not _can_be_name(name) or added_at.tzinfo is None or len(hashes) < len(examples) or not shows_it:
        raise ValueError("a concept is not as it should be")
    fits = dict(_fit(fit, models) for fit in typed("fits", value["fits"], list))
    if len(fits) < len(value["fits"]):
        raise ValueError("a concept is fitted twice for a model")
    return ExchangedConcept(name, text, added_at.astimezone(UTC), examples, fits)


def _can_be_name(name: str) -> bool:
    try:
        return checked_name(name) == name
    except ConfigError:
        return False


def _example(value: Any, models: tuple[ExchangedModel, ...]) -> ConceptExample:
    path, preview, model = value["path"], value["preview"], value["model"]
    if path is not None:
        path_to_text(typed("path", path, str)).encode()  # some surrogates stand for no byte
        if not is_absolute_somewhere(path) or "\0" in path:
            raise ValueError("the path of an example is not absolute")
    if (model is None) != (value["embedding"] is None):
        raise ValueError("an example has an embedding of no model")
    return ConceptExample(
        content_hash(value["content_hash"]),
        typed("positive", value["positive"], bool),
        path,
        _preview(preview) if preview is not None else None,
        _unit_vector(value["embedding"], model, models).astype("<f2") if model is not None else None,
        model,
    )


def _preview(text: Any) -> bytes:
    preview = base64.b64decode(typed("preview", text, str), validate=True)
    try:
        if not preview.startswith(_JPEG):
            raise ValueError("the preview of an example is not a JPEG")
        decode_image(preview)
    except ImageReadError as error:
        raise ValueError("the preview of an example is not a picture") from error
    return preview


def _fit(value: Any, models: tuple[ExchangedModel, ...]) -> tuple[int, ConceptFit]:
    direction = _unit_vector(value["direction"], value["model"], models).astype("<f4")
    reals: dict[str, Any] = {name: float(value[name]) for name in _REALS}
    counts: dict[str, Any] = {name: typed(name, value[name], int) for name in _COUNTS}
    if not (
        all(math.isfinite(real) for real in reals.values())
        and 0.0 <= reals["text_share"] <= 1.0
        and reals["regularisation"] > 0.0
        and min(counts.values()) >= 0
    ):
        raise ValueError("what was fitted for a concept makes no sense")
    return value["model"], ConceptFit(direction, **reals, **counts)


def _unit_vector(values: Any, model: Any, models: tuple[ExchangedModel, ...]) -> NDArray[np.float64]:
    """A direction in a model's space, float64 [dim]."""
    if not 0 <= typed("model", model, int) < len(models):
        raise ValueError("a concept is of a model that is not there")
    vector = np.array([float(value) for value in typed("embedding", values, list)])
    in_reach = len(vector) == models[model].dim and bool((np.abs(vector) < 2.0).all())  # no square of which overflows
    if not in_reach or abs(float(np.linalg.norm(vector)) - 1.0) > UNIT_TOLERANCE:
        raise ValueError("an embedding of a concept is not a unit vector of the model's dimension")
    return vector
