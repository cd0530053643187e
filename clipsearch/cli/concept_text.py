"""Concepts as text for people and as data for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipsearch.query import ConceptTerm
from clipsearch.text import display_path, display_text, format_count

if TYPE_CHECKING:
    from clipsearch.labeling.concepts.values import ConceptDetails, Suggestion


def concept_line(shown: ConceptDetails) -> str:
    """A concept in one line."""
    name, count = display_text(str(ConceptTerm(shown.name))), format_count(shown.positives, "picture")
    text = f": {display_text(shown.text)}" if shown.text is not None else ""
    return f"{name}  {count} of it, {shown.negatives:,} of others{text}"


def details_lines(shown: ConceptDetails) -> Iterator[str]:
    """A concept with what was fitted, and its examples."""
    yield concept_line(shown)
    if shown.fit is not None:
        share, model = shown.fit.text_share, display_text(shown.model or "")
        drawn = format_count(shown.fit.drawn, "picture")
        yield f"fitted for {model}: {share:.0%} text, {1 - share:.0%} pictures; {drawn} drawn from the library"
    else:
        yield "not fitted yet for the model that searches use; the next search for it does that"
    for example in shown.examples:
        where = display_path(example.path) if example.path is not None else f"#{example.content_hash[:12]} (gone)"
        outside = " (outside of the library)" if example.path is not None and not example.in_library else ""
        yield f"{'shows it' if example.positive else 'does not':<8}  {where}{outside}"


def concept_to_json(shown: ConceptDetails) -> dict[str, Any]:
    """One element of ``clipsearch concept list --json``."""
    return {
        "name": shown.name,
        "text": shown.text,
        "positives": shown.positives,
        "negatives": shown.negatives,
        "added_at": shown.added_at.isoformat(timespec="seconds"),
    }


def details_to_json(shown: ConceptDetails) -> dict[str, Any]:
    """What ``clipsearch concept show --json`` prints; nulls where nothing is fitted yet."""
    fit = shown.fit
    return {
        **concept_to_json(shown),
        "model": shown.model,
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
            for example in shown.examples
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
