"""Says which texts of a result have words of the query, with the part of each that has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.media.box import Box
from clipsearch.retrieval.hybrid.words import grade
from clipsearch.retrieval.results import Evidence
from clipsearch.text import search_form

if TYPE_CHECKING:
    from clipsearch.catalog.full_text import OcrLine, OriginalTexts
    from clipsearch.catalog.records import FoundFile

_MOST_LINES = 12
"""Lines of text in a picture that are shown."""

_WINDOW = 60
"""Characters of an excerpt of a longer text."""


def evidence_of(
    words: Sequence[str], texts: OriginalTexts, files: Sequence[FoundFile], roots: Mapping[int, Path]
) -> tuple[Evidence, ...]:
    """The texts of a picture that have words of a query.

    Args:
        words: in search form.
        texts: of the picture.
        files: of the picture.
        roots: paths of the roots, by id.
    """
    lines = [line for line in texts.lines if _has(words, line.text)]
    in_picture = [Evidence("text", _excerpt(words, line.text), _box(line)) for line in lines[:_MOST_LINES]]
    others = dict.fromkeys(
        Evidence(kind, _excerpt(words, text)) for kind, text in _others(texts, files, roots) if _has(words, text)
    )
    return (*in_picture, *others, *_place(words, texts, files))


def _box(line: OcrLine) -> Box | None:
    """Where a line is in the picture; ``None`` in a frame of a video."""
    return Box(*line.box) if line.segment.is_whole else None


def _others(texts: OriginalTexts, files: Sequence[FoundFile], roots: Mapping[int, Path]) -> Iterator[tuple[str, str]]:
    """The texts outside of the picture, by kind."""
    yield from (("name", file.path.name) for file in files)
    yield "title", texts.title or ""
    yield "caption", texts.caption or ""
    yield from (("keyword", keyword) for keyword in texts.keywords)
    for file in files:
        root = roots.get(file.root_id, file.path.parent)
        yield from (("folder", folder) for folder in (root.name, *file.path.relative_to(root).parent.parts))
    yield "camera", texts.camera or ""


def _place(words: Sequence[str], texts: OriginalTexts, files: Sequence[FoundFile]) -> Iterator[Evidence]:
    """Where it was taken, if a name of that in any language has a word."""
    if files[0].place is not None and any(_has(words, name) for name in texts.place_names.split("\n")):
        yield Evidence("place", files[0].place)


def _has(words: Sequence[str], text: str) -> bool:
    folded = search_form(text)
    return any(word in folded and grade(word, folded) > 0 for word in words)


def _excerpt(words: Sequence[str], text: str) -> str:
    """The part of a text around the first word, on one line."""
    text = " ".join(text.split())
    if len(text) <= _WINDOW:
        return text
    folded = search_form(text)  # as long as the text, or nearly
    first = min((folded.find(word) for word in words if word in folded), default=0)
    start = max(0, min(first - _WINDOW // 3, len(text) - _WINDOW))
    part = text[start : start + _WINDOW].strip()
    return f"{'…' if start else ''}{part}{'…' if start + _WINDOW < len(text) else ''}"
