"""Add, teach, show and export the concepts of a library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsearch.catalog.concept_records import ConceptExample, ConceptRecord
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ConfigError
from clipsearch.labeling.concepts.concept_space import ConceptSpace, fit_of
from clipsearch.labeling.concepts.names import checked_name, unknown_name_message, with_name
from clipsearch.labeling.concepts.values import ConceptDetails, ExampleDetails
from clipsearch.query import ConceptTerm

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

_EXPORT_VERSION = 1


def add_concept(
    space: ConceptSpace,
    name: str,
    *,
    positives: Sequence[Path | str],
    negatives: Sequence[Path | str],
    text: str | None,
) -> ConceptDetails:
    """See `Library.concepts.add`."""
    name = checked_name(name)
    _check_free(space.store, name)
    words = " ".join(text.split()) if text is not None else ""
    if text is not None and not words:
        raise ConfigError("the text of the concept is empty; describe the concept, or omit the text")
    if not positives:
        raise ConfigError(f"at least one picture is required that shows {ConceptTerm(name)}")
    examples = _read(space, positives, negatives)
    if not space.store.concepts.add(name, words or None, examples):
        _check_free(space.store, name)
    return _fitted(space, name)


def teach(
    space: ConceptSpace, name: str, *, positives: Sequence[Path | str], negatives: Sequence[Path | str]
) -> ConceptDetails:
    """See `Library.concepts.confirm` and `Library.concepts.reject`."""
    concept = find(space.store, name)
    examples = _read(space, positives, negatives)
    if not examples:
        raise ConfigError("at least one picture is required")
    shown = {item.content_hash: item.positive for item in space.store.concepts.examples(concept.id)}
    shown.update((item.content_hash, item.positive) for item in examples)
    if not any(shown.values()):
        raise ConfigError(
            f"{ConceptTerm(concept.name)} would have no positive example left; confirm another picture first, or "
            "remove the concept with: clipsearch concept remove"
        )
    if not space.store.concepts.put_examples(concept.id, examples):
        find(space.store, name)
    return _fitted(space, concept.name)


def find(store: Catalog, name: str) -> ConceptRecord:
    """The concept with a name.

    Raises:
        ConfigError: there is none.
    """
    concepts = store.concepts.all()
    concept = with_name(name, concepts)
    if concept is None:
        raise ConfigError(unknown_name_message(name, concepts))
    return concept


def show(store: Catalog, concept: ConceptRecord, model: ModelRecord | None) -> ConceptDetails:
    """A concept with its examples, and its fit for a model if there is one."""
    fit = store.concepts.fit(concept.id, model.id) if model is not None else None
    return ConceptDetails(
        concept.name,
        concept.text,
        concept.added_at,
        tuple(_examples(store, store.concepts.examples(concept.id))),
        model=model.spec if model is not None and fit is not None else None,
        fit=fit,
    )


def export_concept(space: ConceptSpace, name: str, file: Path) -> None:
    """See `Library.concepts.export`."""
    concept = find(space.store, name)
    fit_of(space, concept)
    text = json.dumps(_concept_json(show(space.store, concept, space.model), space.model), indent=2) + "\n"
    try:
        with file.open("x", encoding="ascii") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{file} already exists; name a new file") from error
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from error


def _concept_json(concept: ConceptDetails, model: ModelRecord) -> dict[str, Any]:
    """A concept without its pictures; the direction has unit length, in the model's space."""
    fit = asdict(concept.fit) if concept.fit is not None else None
    return {
        "kind": "clipsearch concept",
        "version": _EXPORT_VERSION,
        "name": concept.name,
        "text": concept.text,
        "added_at": concept.added_at.isoformat(timespec="seconds"),
        "model": {"spec": model.spec, "fingerprint": model.fingerprint, "dim": model.dim},
        "fit": {**fit, "direction": fit["direction"].tolist()} if fit is not None else None,
        "examples": [{"content_hash": item.content_hash, "positive": item.positive} for item in concept.examples],
    }


def _examples(store: Catalog, examples: Sequence[ConceptExample]) -> Iterable[ExampleDetails]:
    files = dict(reversed(list(store.upkeep.files_holding([item.content_hash for item in examples]))))
    for item in examples:
        outside = Path(item.path) if item.path is not None else None
        path = files.get(item.content_hash, outside)
        yield ExampleDetails(item.content_hash, item.positive, path, in_library=item.content_hash in files)


def _check_free(store: Catalog, name: str) -> None:
    taken = with_name(name, store.concepts.all())
    if taken is not None:
        raise ConfigError(
            f"{ConceptTerm(taken.name)} is already a concept; add pictures to it with: clipsearch concept confirm, "
            "or choose another name"
        )


def _read(
    space: ConceptSpace, positives: Sequence[Path | str], negatives: Sequence[Path | str]
) -> list[ConceptExample]:
    """Examples of different contents.

    Raises:
        ConfigError: a picture is named as both.
    """
    reader = space.reader
    examples: dict[str, ConceptExample] = {}
    for pictures, positive in ((positives, True), (negatives, False)):
        for picture in pictures:
            example = reader.read(picture, positive=positive)
            if examples.setdefault(example.content_hash, example).positive is not positive:
                raise ConfigError(f"{picture} is named both as a positive and as a negative example")
    return list(examples.values())


def _fitted(space: ConceptSpace, name: str) -> ConceptDetails:
    concept = find(space.store, name)
    fit_of(space, concept)
    return show(space.store, concept, space.model)
