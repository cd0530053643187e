"""The values that go into and come out of the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ModelRecord:
    """A model that the catalog holds embeddings of.

    Attributes:
        id: its row.
        spec: the name that loads it.
        fingerprint: identity of its weights.
        dim: embedding dimension.
        precision: that its first embeddings were made with, for people.
    """

    id: int
    spec: str
    fingerprint: str
    dim: int
    precision: str


@dataclass(frozen=True)
class RootRecord:
    """A folder that was given to be indexed, and how many files of it are in the catalog."""

    id: int
    path: Path
    volume_id: str | None
    files: int


@dataclass(frozen=True)
class SeenFile:
    """A file as it was when last seen.

    Attributes:
        relative_path: from its root, parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970.
        failed: it could not be read then.
    """

    relative_path: str
    size: int
    mtime_ns: int
    failed: bool


@dataclass(frozen=True)
class FileRecord:
    """A readable file to be written to the catalog."""

    relative_path: str
    size: int
    mtime_ns: int
    content_hash: str


@dataclass(frozen=True)
class FailureRecord:
    """An unreadable file to be written to the catalog."""

    relative_path: str
    size: int
    mtime_ns: int
    reason: str


@dataclass(frozen=True)
class NewImage:
    """A content to be written to the catalog with its embedding, float32 [dim], unit length."""

    content_hash: str
    width: int
    height: int
    format: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class FoundFile:
    """A file behind a search result; width and height in pixels, upright."""

    path: Path
    content_hash: str
    width: int
    height: int
    format: str


@dataclass(frozen=True)
class CatalogCounts:
    """How much a catalog holds: files, distinct contents among them, and unreadable files."""

    files: int
    images: int
    failures: int
