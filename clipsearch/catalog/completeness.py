"""Conditions on an `Content`: whether a model has embedded it, and whether everything of it is known."""

from __future__ import annotations

from sqlalchemy import BindParameter, ColumnElement, and_, or_, select

from clipsearch.catalog.records import METADATA_VERSION
from clipsearch.catalog.tables import Content, Embedding
from clipsearch.media.segments import WHOLE_KINDS, SegmentKind
from clipsearch.media.tiling import LONG


def is_embedded(model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether a model has embedded an image from a file that holds it: the whole of it, and the tiles of a long one."""
    made = (Embedding.content_hash == Content.content_hash, Embedding.model_id == model_id)
    whole = select(Embedding.id).where(*made, Embedding.kind.in_(WHOLE_KINDS), ~Embedding.from_preview).exists()
    tile = select(Embedding.id).where(*made, Embedding.kind == SegmentKind.TILE).exists()  # all are written at once
    is_long = or_(Content.width > LONG * Content.height, Content.height > LONG * Content.width)
    return and_(whole, or_(~is_long, tile))


def is_complete(model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether an image need not be decoded: a model has embedded it, and its metadata is up to date."""
    return and_(Content.metadata_version >= METADATA_VERSION, is_embedded(model_id))
