"""The values that go into and come out of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.media.segments import WHOLE_IMAGE, Segment
from clipsearch.models.parity import Parity

METADATA_VERSION = 3
"""Raised when more metadata is read than before: contents of an older version are then read again, not embedded."""


@dataclass(frozen=True)
class ModelRecord:
    """A model that the catalog holds embeddings of.

    Attributes:
        id: its row.
        spec: the name that loads it.
        fingerprint: identity of its weights.
        dim: embedding dimension.
        precision: that its first embeddings were made with, for people.
        parity: of those to what the weights give unrounded; ``None`` if they were not rounded.
    """

    id: int
    spec: str
    fingerprint: str
    dim: int
    precision: str
    parity: Parity | None = None


def model_record(values: Sequence[Any]) -> ModelRecord:
    """A model from its row: the fields in their order, and instead of the parity its cosine and its overlap."""
    row_id, spec, fingerprint, dim, precision, cosine, overlap = values
    parity = Parity(cosine, overlap) if cosine is not None else None
    return ModelRecord(row_id, spec, fingerprint, dim, precision, parity)


@dataclass(frozen=True)
class RootPlace:
    """A folder that was given to be indexed.

    Attributes:
        id: its row.
        path: where it is, or was when its drive was last there.
        volume_id: identity of its file system; ``None`` where the system does not tell.
    """

    id: int
    path: Path
    volume_id: str | None


@dataclass(frozen=True)
class RootRecord(RootPlace):
    """Such a folder, and how many files of it are in the catalog.

    Attributes:
        volume_path: from the mount point of that file system, parts joined by ``/``.
        files: readable files of it in the catalog.
        exclusions: its own patterns of what is not indexed, in gitignore's syntax.
        default_exclusions: whether other programs' private folders are excluded (`indexer.exclusions`).
    """

    volume_path: str | None
    files: int
    exclusions: tuple[str, ...] = ()
    default_exclusions: bool = True


@dataclass(frozen=True)
class JobRecord:
    """A long piece of work that did not come to its end.

    Attributes:
        kind: ``index`` or ``migrate``.
        started_at: with time zone.
        done: files committed before it was interrupted.
    """

    kind: str
    started_at: datetime
    done: int


class SeenFile(NamedTuple):
    """A file as it was when last seen.

    Attributes:
        relative_path: from its root, parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970.
        failed: it could not be read then.
        sidecar_stamp: of the files beside it; ``None`` without any.
    """

    relative_path: str
    size: int
    mtime_ns: int
    failed: bool
    sidecar_stamp: str | None = None


class OtherRecord(NamedTuple):
    """A file that is no picture that can be read.

    Attributes:
        relative_path: from its root, parts joined by ``/``.
        size: in bytes.
        mtime_ns: time of last change, nanoseconds since 1970.
        kind: of `clipsearch.media.formats`; empty for one that is counted nowhere.
    """

    relative_path: str
    size: int
    mtime_ns: int
    kind: str


class UnembeddedFile(NamedTuple):
    """A file of the catalog whose content a model has yet to embed."""

    root_id: int
    relative_path: str
    size: int
    mtime_ns: int
    content_hash: str


class SidecarRecord(NamedTuple):
    """The files beside a picture, to be written to the catalog.

    Attributes:
        stamp: another text for every other state of theirs; ``None`` without any.
        said: what they say (`clipsearch.media.metadata.sidecars.Beside.to_json`); ``None`` for nothing.
    """

    stamp: str | None = None
    said: str | None = None

    @property
    def is_unread(self) -> bool:
        """Whether the drive or the system kept it from being read, so that the next run tries again."""
        return self.stamp == ""


@dataclass(frozen=True)
class FileRecord:
    """A readable file to be written to the catalog; what is beside it as in `SidecarRecord`."""

    relative_path: str
    size: int
    mtime_ns: int
    content_hash: str
    sidecar_stamp: str | None = None
    sidecar: str | None = None


@dataclass(frozen=True)
class FailureRecord:
    """An unreadable file to be written to the catalog."""

    relative_path: str
    size: int
    mtime_ns: int
    reason: str


@dataclass(frozen=True)
class NewImage:
    """A content to be written to the catalog, or one whose metadata was read again."""

    content_hash: str
    width: int
    height: int
    format: str
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    fingerprint: bytes | None = None
    duration_ms: int | None = None
    frame_rate: float | None = None
    codec: str | None = None


@dataclass(frozen=True)
class NewEmbedding:
    """A content's embedding to be written to the catalog.

    Attributes:
        content_hash: of the content.
        embedding: float32 [dim], unit length.
        segment: what of the content it is of.
        from_preview: made from the thumbnail, to be replaced when the file can be read.
    """

    content_hash: str
    embedding: NDArray[np.float32]
    segment: Segment = WHOLE_IMAGE
    from_preview: bool = False


@dataclass(frozen=True)
class SpaceRecord:
    """A model's embedding space: how many of the contents that files hold are in it.

    Attributes:
        model: whose.
        embedded: contents embedded, those from previews included.
        from_preview: contents embedded from their thumbnail.
        missing: contents that files hold and the model has not embedded.
        active: searches use it.
    """

    model: ModelRecord
    embedded: int
    from_preview: int
    missing: int
    active: bool


@dataclass(frozen=True)
class FoundFile:
    """A file behind a search result: bytes, upright pixels, and when (on the camera's clock) and where it was taken."""

    embedding_id: int
    root_id: int
    path: Path
    size: int
    content_hash: str
    width: int
    height: int
    format: str
    taken_at: datetime | None
    stack: str | None = None
    camera: str | None = None
    mtime_ns: int = 0
    taken_source: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    position_source: str | None = None
    place: str | None = None
    duration_ms: int | None = None
    taken_precision: str | None = None


@dataclass(frozen=True)
class FrameEmbeddings:
    """The embedded frames of a video, in order.

    Attributes:
        ids: int64 [frames], of the embeddings.
        positions: int64 [frames], in milliseconds, ascending.
        vectors: float16 [frames, dim], unit length.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    vectors: NDArray[np.float16]


@dataclass(frozen=True)
class CatalogCounts:
    """How much a catalog holds: files, distinct contents among them, and unreadable files."""

    files: int
    images: int
    failures: int
