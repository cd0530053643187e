"""Conditions on an `Image`: whether a model has embedded it, and whether everything of it is known."""

from __future__ import annotations

from sqlalchemy import BindParameter, ColumnElement, and_, or_, select

from clipsearch.catalog.records import METADATA_VERSION
from clipsearch.catalog.tables import Embedding, Image
from clipsearch.media.tiling import LONG


def is_embedded(model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether a model has embedded an image from a file that holds it: the whole of it, and the parts of a long one."""
    made = (Embedding.content_hash == Image.content_hash, Embedding.model_id == model_id)
    whole = select(Embedding.id).where(*made, Embedding.part == 0, ~Embedding.from_preview).exists()
    part = select(Embedding.id).where(*made, Embedding.part == 1).exists()  # written with all of the others
    is_long = or_(Image.width > LONG * Image.height, Image.height > LONG * Image.width)
    return and_(whole, or_(~is_long, part))


def is_complete(model_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether an image need not be decoded: a model has embedded it, and its metadata is up to date."""
    return and_(Image.metadata_version >= METADATA_VERSION, is_embedded(model_id))
