"""The Milvus collections of a library's model, with their stamps and manifests."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.system import atomic
from clipsearch.vectors.common import VECTORS_NAME, model_key
from clipsearch.vectors.milvus.connection import ID, MilvusConnection
from clipsearch.vectors.milvus.fields import DIGEST, Vocabulary
from clipsearch.vectors.milvus.index import MilvusIndex
from clipsearch.vectors.tuning import ProbeSettings

logger = logging.getLogger(__name__)

_STAMP = "clipsearch.stamp"
_ROWS = ".rows.npy"
_VOCABULARY = ".fields.json"


@dataclass(frozen=True)
class CollectionStamp:
    """The state of the catalog that a collection corresponds to, stored as a property of the collection.

    Attributes:
        model: ``spec@fingerprint``.
        dim: embedding dimension.
        revision: the catalog's revision at the last update; -1 until the collection is complete.
        state: random id of the content, part of the name of its manifest file.
        whole: False while the collection is being changed, and after an interrupted change.
        lists: nlist of the inverted file of each Milvus segment; 0 for a flat index.
        tuned: number of vectors when `probing` was measured.
        probing: search parameters, by ascending k.
        fields: the catalog's revision to which the scalar fields correspond; -1 if unknown.
    """

    model: str
    dim: int
    revision: int = -1
    state: str = ""
    whole: bool = False
    lists: int = 0
    tuned: int = 0
    probing: tuple[ProbeSettings, ...] = ()
    fields: int = -1

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> CollectionStamp | None:
        """From JSON; ``None`` if it is of another version."""
        try:
            content = json.loads(text)
            return cls(**{**content, "probing": tuple(ProbeSettings(**item) for item in content["probing"])})
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class SavedCollection:
    """A collection with its stamp."""

    name: str
    stamp: CollectionStamp


@dataclass(frozen=True)
class CollectionManifest:
    """The rows of a collection.

    Attributes:
        ids: int64 [n], ascending.
        digests: digests of the rows' scalar fields, int64 [n] (`clipsearch.vectors.milvus.fields`).
    """

    ids: NDArray[np.int64]
    digests: NDArray[np.int64]


class ModelCollections:
    """The collections of one model of one library: the current one and, for a while, its predecessor."""

    def __init__(self, connection: MilvusConnection, library: Path, space: str, model: ModelRecord) -> None:
        """Use a connection; see `MilvusEngine` for `space`."""
        self.connection = connection
        self.model = model
        self._library = library
        self._prefix = f"{space_prefix(space)}{_slug(model)}_"

    def current(self) -> SavedCollection | None:
        """The current collection; ``None`` if the model has no complete one."""
        expected = (model_key(self.model), self.model.dim)
        complete = [
            SavedCollection(name, stamp)
            for name, stamp in self._stamped()
            if stamp.revision >= 0 and (stamp.model, stamp.dim) == expected
        ]
        return max(complete, key=lambda saved: (_number(saved.name), saved.stamp.revision), default=None)

    def names(self) -> list[str]:
        """Names of all collections of the model."""
        return [name for name in self.connection.collections(self._prefix) if name[len(self._prefix) :].isdigit()]

    def new_name(self) -> str:
        """A name for the next collection."""
        return f"{self._prefix}{max((_number(name) for name in self.names()), default=0) + 1}"

    def note(self, collection: str, stamp: CollectionStamp) -> None:
        """Write a collection's stamp."""
        self.connection.note(collection, _STAMP, stamp.as_text())

    def drop(self, *, but: set[str] | frozenset[str] = frozenset()) -> None:
        """Delete collections, except those in `but`, and their manifests."""
        for name in self.names():
            if name not in but:
                self.connection.drop(name)
                drop_rows(self._library, name)

    def opened(self, saved: SavedCollection, ids: NDArray[np.int64]) -> MilvusIndex:
        """The index of a collection with these ids, int64 [n], ascending."""
        stamp = saved.stamp
        return MilvusIndex(
            self.connection,
            saved.name,
            ids,
            dim=stamp.dim,
            lists=stamp.lists,
            probing=stamp.probing,
            vocabulary=self._vocabulary(saved) if stamp.fields == stamp.revision else None,
        )

    # --- manifests ------------------------------------------------------------------------------

    def save_rows(self, collection: str, rows: CollectionManifest, vocabulary: Vocabulary) -> str:
        """Save a collection's manifest in the library: Milvus lists millions of rows slowly.

        Returns:
            The state for its stamp.
        """
        state = secrets.token_hex(8)
        drop_rows(self._library, collection)
        try:
            with atomic.replacing(self._path(collection, state, _ROWS)) as file:
                np.save(file, np.stack([rows.ids, rows.digests]), allow_pickle=False)
            with atomic.replacing(self._path(collection, state, _VOCABULARY)) as file:
                file.write(vocabulary.as_text().encode())
        except OSError as error:  # a cache that cannot be saved costs time, not results
            logger.warning("the manifest of %s was not saved: %s", collection, error)
        return state

    def saved_rows(self, saved: SavedCollection) -> CollectionManifest | None:
        """The saved manifest; ``None`` if it is missing or damaged."""
        path = self._path(saved.name, saved.stamp.state, _ROWS)  # read on Windows, which cannot delete a mapped file
        try:
            rows = np.load(path, allow_pickle=False) if sys.platform == "win32" else np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        return CollectionManifest(*rows) if rows.dtype == np.int64 and rows.ndim == 2 and len(rows) == 2 else None

    def listed_rows(self, collection: str) -> CollectionManifest:
        """The manifest, as listed by Milvus."""
        return CollectionManifest(*self.connection.columns(collection, [ID, DIGEST]))

    def _vocabulary(self, saved: SavedCollection) -> Vocabulary | None:
        try:
            text = self._path(saved.name, saved.stamp.state, _VOCABULARY).read_text(encoding="utf-8")
            return Vocabulary.from_text(text)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _path(self, collection: str, state: str, kind: str) -> Path:
        return self._library / VECTORS_NAME / f"{collection}.{state}{kind}"

    def _stamped(self) -> Iterator[tuple[str, CollectionStamp]]:
        for name in self.names():
            stamp = CollectionStamp.from_text(self.connection.properties(name).get(_STAMP, ""))
            if stamp is not None:
                yield name, stamp


def drop_rows(library: Path, collection: str) -> None:
    """Delete the saved manifests of a collection."""
    for kind in (_ROWS, _VOCABULARY):
        for path in (library / VECTORS_NAME).glob(f"{collection}.*{kind}"):
            path.unlink(missing_ok=True)


def space_prefix(space: str) -> str:
    """Prefix of the names of a library's collections."""
    return f"clipsearch_{space}_"


def _slug(model: ModelRecord) -> str:
    spec = re.sub(r"[^A-Za-z0-9]+", "_", model.spec).strip("_")[-80:]
    return f"{spec}_{model.fingerprint[:8]}"


def _number(collection: str) -> int:
    return int(collection.rpartition("_")[2])
