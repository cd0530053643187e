"""Concepts as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipsearch.query import ConceptTerm
from clipsearch.text import display_path, display_text, format_count

if TYPE_CHECKING:
    from clipsearch.labeling.concepts.values import ConceptDetails, Suggestion


def concept_line(concept: ConceptDetails) -> str:
    """A concept in one line."""
    name = display_text(str(ConceptTerm(concept.name)))
    examples = f"{format_count(concept.positives, 'positive example')}, {concept.negatives:,} negative"
    text = f": {display_text(concept.text)}" if concept.text is not None else ""
    return f"{name}  {examples}{text}"


def details_lines(concept: ConceptDetails) -> Iterator[str]:
    """A concept with its fit and its examples."""
    yield concept_line(concept)
    if concept.fit is not None:
        share, model = concept.fit.text_share, display_text(concept.model or "")
        drawn = format_count(concept.fit.drawn, "negative example")
        yield f"fitted for {model}: {share:.0%} text, {1 - share:.0%} pictures; {drawn} drawn from the library"
    else:
        yield "not fitted for the current model yet; the next search with it does that"
    for example in concept.examples:
        path = display_path(example.path) if example.path is not None else f"#{example.content_hash[:12]} (missing)"
        outside = " (not in the library)" if example.path is not None and not example.in_library else ""
        yield f"{'positive' if example.positive else 'negative'}  {path}{outside}"


def concept_to_json(concept: ConceptDetails) -> dict[str, Any]:
    """One element of ``clipsearch concept list --json``."""
    return {
        "name": concept.name,
        "text": concept.text,
        "positives": concept.positives,
        "negatives": concept.negatives,
        "added_at": concept.added_at.isoformat(timespec="seconds"),
    }


def details_to_json(concept: ConceptDetails) -> dict[str, Any]:
    """The output of ``clipsearch concept show --json``; null for an unfitted concept's values."""
    fit = concept.fit
    return {
        **concept_to_json(concept),
        "model": concept.model,
        "text_share": round(fit.text_share, 4) if fit is not None else None,
        "regularisation": fit.regularisation if fit is not None else None,
        "drawn": fit.drawn if fit is not None else None,
        "examples": [
            {
                "content_hash": example.content_hash,
                "positive": example.positive,
                "path": str(example.path) if example.path is not None else None,
                "in_library": example.in_library,
            }
            for example in concept.examples
        ],
    }


def suggestion_to_json(item: Suggestion) -> dict[str, Any]:
    """One element of ``clipsearch concept suggest --json``."""
    return {
        "path": str(item.path),
        "probability": round(item.probability, 4),
        "content_hash": item.content_hash,
        "thumbnail": str(item.thumbnail) if item.thumbnail else None,
    }
