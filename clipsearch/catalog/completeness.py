"""Conditions on a `Content`: whether a model has embedded it, and whether its metadata is up to date."""

from __future__ import annotations

from sqlalchemy import BindParameter, ColumnElement, and_, select

from clipsearch.catalog.records import METADATA_VERSION
from clipsearch.catalog.tables import Content, Embedding
from clipsearch.media.segments import WHOLE_KINDS


def is_embedded(model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether a model has embedded a content from its file, not from a preview.

    The whole stands for all segments: they are written with it or, of a long video, before it, and deleted with it.
    """
    return (
        select(Embedding.id)
        .where(
            Embedding.content_hash == Content.content_hash,
            Embedding.model_id == model_id,
            Embedding.kind.in_(WHOLE_KINDS),
            ~Embedding.from_preview,
        )
        .exists()
    )


def is_complete(model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether a content need not be decoded: a model has embedded it, and its metadata is up to date."""
    return and_(Content.metadata_version >= METADATA_VERSION, is_embedded(model_id))
