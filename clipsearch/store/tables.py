"""The catalog's tables. Every change here needs a migration in `migrations/versions`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

HASH_LENGTH = 32
"""Hex digits of a content hash (XXH3, 128 bits)."""

_RowId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite gives row ids to INTEGER keys only


class PathText(TypeDecorator[str]):
    """A path as text, also where its name is not UTF-8.

    Python stands for an undecodable byte with a lone surrogate, which no database takes. Such a byte is
    stored as ``//`` and its two hex digits; ``//`` cannot occur in the paths stored here, so nothing is lost.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """From Python to the database."""
        if value is None or value.isascii():
            return value
        return re.sub("[\udc80-\udcff]", lambda match: f"//{ord(match[0]) - 0xDC00:02x}", value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """From the database to Python."""
        if value is None or "//" not in value:
            return value
        return re.sub("//([0-9a-f]{2})", lambda match: chr(0xDC00 + int(match[1], 16)), value)


class Base(DeclarativeBase):
    """Base of the catalog's tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _now() -> datetime:
    return datetime.now(UTC)


class Model(Base):
    """A model that has filled, or is filling, an embedding space of this library."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("spec", "fingerprint"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    spec: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64))
    dim: Mapped[int] = mapped_column(Integer)
    precision: Mapped[str] = mapped_column(String(32))
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class CatalogState(Base):
    """The one row that says where the catalog stands."""

    __tablename__ = "catalog_state"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    """Rises by one with each commit that changes which embeddings have files."""
    active_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))


class Root(Base):
    """A folder that was given to be indexed."""

    __tablename__ = "roots"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    path: Mapped[str] = mapped_column(PathText, unique=True)
    volume_id: Mapped[str | None] = mapped_column(Text)
    """Identity of the file system it is on; ``None`` where the system does not tell."""
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Image(Base):
    """What is known of a content, however many files hold it."""

    __tablename__ = "images"

    content_hash: Mapped[str] = mapped_column(String(HASH_LENGTH), primary_key=True)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    format: Mapped[str] = mapped_column(String(16))


class File(Base):
    """A file that holds a picture, as it was when last seen."""

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("root_id", "relative_path"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id"))
    relative_path: Mapped[str] = mapped_column(PathText)
    """From the root, parts joined by ``/`` on every system."""
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[str] = mapped_column(ForeignKey("images.content_hash"), index=True)


class Embedding(Base):
    """A content's place in a model's space; its id is its id in the vector index, and is never reused."""

    __tablename__ = "embeddings"
    __table_args__ = (UniqueConstraint("content_hash", "model_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    content_hash: Mapped[str] = mapped_column(ForeignKey("images.content_hash"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """float16 [dim], little-endian, unit length."""


class Failure(Base):
    """A file that could not be read, as it was then; it is left alone until it changes."""

    __tablename__ = "failures"
    __table_args__ = (UniqueConstraint("root_id", "relative_path"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id"))
    relative_path: Mapped[str] = mapped_column(PathText)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
