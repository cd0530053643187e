"""Which pictures probably show text, by zero-shot classification of their embeddings: those are read first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clipsearch.catalog.chunks import chunks
from clipsearch.labeling.zero_shot import DEFAULT_TEMPLATES, class_embeddings, class_probabilities

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.catalog.records import ModelRecord
    from clipsearch.models.encoder import Encoder

_WITH_TEXT = (
    "document", "receipt", "screenshot", "sign with text", "poster", "page of a book", "letter", "menu",
    "whiteboard", "label", "ticket", "newspaper", "form", "slide",
)  # fmt: skip
_WITHOUT = (
    "person", "group of people", "animal", "landscape", "beach", "building", "room", "meal", "plant", "vehicle",
    "sports game", "child", "sky",
)  # fmt: skip
_LEAST = 0.5
"""Probability that one of `_WITH_TEXT` is right rather than one of `_WITHOUT`."""


def probably_with_text(store: Catalog, model: ModelRecord, encoder: Encoder, content_hashes: Sequence[str]) -> set[str]:
    """The contents that probably show text."""
    classes = class_embeddings(encoder, [*_WITH_TEXT, *_WITHOUT], DEFAULT_TEMPLATES)
    likely: set[str] = set()
    for chunk in chunks(content_hashes):
        vectors = store.embeddings_by_hash(chunk, model)
        if vectors:
            pictures = np.stack(list(vectors.values())).astype(np.float32)
            scores = class_probabilities(pictures, classes, encoder.logit_scale)[:, : len(_WITH_TEXT)].sum(axis=1)
            likely.update(digest for digest, score in zip(vectors, scores.tolist(), strict=True) if score >= _LEAST)
    return likely
