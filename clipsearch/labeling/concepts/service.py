"""The concepts of a library: adding, teaching, showing and forgetting them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.concept_records import ConceptExample, ConceptRecord
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ConfigError
from clipsearch.labeling.concepts.concept_space import ConceptSpace, fit_of
from clipsearch.labeling.concepts.names import checked_name, unknown, with_name
from clipsearch.labeling.concepts.values import ConceptDetails, ExampleDetails
from clipsearch.query import ConceptTerm

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog


def add_concept(
    space: ConceptSpace,
    name: str,
    *,
    positives: Sequence[Path | str],
    negatives: Sequence[Path | str],
    text: str | None,
) -> ConceptDetails:
    """Teach a library a concept; see `Library.concepts.add`."""
    name = checked_name(name)
    _check_free(space.store, name)
    words = " ".join(text.split()) if text is not None else ""
    if text is not None and not words:
        raise ConfigError("the text of the concept is empty; say what it is, or leave it out")
    if not positives:
        raise ConfigError(f"name one picture at least that shows {ConceptTerm(name)}")
    examples = _read(space, positives, negatives)
    if not space.store.concepts.add(name, words or None, examples):
        _check_free(space.store, name)
    return _fitted(space, name)


def teach(
    space: ConceptSpace, name: str, *, positives: Sequence[Path | str], negatives: Sequence[Path | str]
) -> ConceptDetails:
    """Add examples to a concept and fit it again; see `Library.concepts.confirm`."""
    concept = find(space.store, name)
    examples = _read(space, positives, negatives)
    if not examples:
        raise ConfigError("name one picture at least")
    shown = {item.content_hash: item.positive for item in space.store.concepts.examples(concept.id)}
    shown.update((item.content_hash, item.positive) for item in examples)
    if not any(shown.values()):
        raise ConfigError(
            f"then no picture would show {ConceptTerm(concept.name)} any more; confirm another one first, or forget "
            "it with: clipsearch concept remove"
        )
    if not space.store.concepts.put_examples(concept.id, examples):
        find(space.store, name)
    return _fitted(space, concept.name)


def find(store: Catalog, name: str) -> ConceptRecord:
    """The concept of that name.

    Raises:
        ConfigError: there is none.
    """
    concepts = store.concepts.all()
    found = with_name(name, concepts)
    if found is None:
        raise ConfigError(unknown(name, concepts))
    return found


def show(store: Catalog, concept: ConceptRecord, model: ModelRecord | None) -> ConceptDetails:
    """A concept with its examples, and what is fitted for a model, if it is."""
    fit = store.concepts.fit(concept.id, model.id) if model is not None else None
    return ConceptDetails(
        concept.name,
        concept.text,
        concept.added_at,
        tuple(_examples(store, store.concepts.examples(concept.id))),
        model=model.spec if model is not None and fit is not None else None,
        fit=fit,
    )


def _examples(store: Catalog, examples: Sequence[ConceptExample]) -> Iterable[ExampleDetails]:
    held = dict(reversed(list(store.upkeep.files_holding([item.content_hash for item in examples]))))
    for item in examples:
        outside = Path(item.path) if item.path is not None else None
        path = held.get(item.content_hash, outside)
        yield ExampleDetails(item.content_hash, item.positive, path, in_library=item.content_hash in held)


def _check_free(store: Catalog, name: str) -> None:
    taken = with_name(name, store.concepts.all())
    if taken is not None:
        raise ConfigError(
            f"{ConceptTerm(taken.name)} is a concept already; add pictures to it with: clipsearch concept confirm, "
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
    found: dict[str, ConceptExample] = {}
    for pictures, positive in ((positives, True), (negatives, False)):
        for picture in pictures:
            example = reader.read(picture, positive=positive)
            if found.setdefault(example.content_hash, example).positive is not positive:
                raise ConfigError(f"{picture} is named both as showing it and as not")
    return list(found.values())


def _fitted(space: ConceptSpace, name: str) -> ConceptDetails:
    concept = find(space.store, name)
    fit_of(space, concept)
    return show(space.store, concept, space.model)
