"""The collections of a library's model on Milvus: which there are, what each was made of, and what it holds."""

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
from clipsearch.vectors.common import model_key
from clipsearch.vectors.engine import VECTORS_NAME, MilvusEngine
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
    """What a collection was made from, noted with it; anything else in the catalog means that it is behind.

    Attributes:
        model: ``spec@fingerprint``.
        dim: embedding dimension.
        revision: the catalog's, when it was last brought up to date; -1 before it was complete for the first time.
        state: changes with what it holds, and names the file of its ids.
        whole: whether no change is under way; one that was broken off leaves it so.
        lists: of its inverted file, in each of Milvus's segments; 0 if it is scanned.
        tuned: vectors when its probing was measured.
        probing: by ascending k.
        fields: the catalog's revision, when the fields of every row were as the catalog has them; -1 if never.
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
        """For a property of the collection."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> CollectionStamp | None:
        """From a property; ``None`` if it is not one of this version."""
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
    """What a collection holds.

    Attributes:
        ids: int64 [n], ascending.
        digests: of the fields of each, int64 [n] (`clipsearch.vectors.milvus.fields`).
    """

    ids: NDArray[np.int64]
    digests: NDArray[np.int64]


class ModelCollections:
    """The collections of one model of one library: the one in use, and for a while the one before it."""

    def __init__(self, connection: MilvusConnection, library: Path, engine: MilvusEngine, model: ModelRecord) -> None:
        """Bind a connection to the library's engine."""
        self.connection = connection
        self.model = model
        self._library = library
        self._prefix = f"{space_prefix(engine)}{_slug(model)}_"

    def current(self) -> SavedCollection | None:
        """The collection in use; ``None`` if there is none of the model that was ever complete."""
        made = (model_key(self.model), self.model.dim)
        found = [
            SavedCollection(name, stamp)
            for name, stamp in self._stamped()
            if stamp.revision >= 0 and (stamp.model, stamp.dim) == made
        ]
        return max(found, key=lambda saved: (_number(saved.name), saved.stamp.revision), default=None)

    def names(self) -> list[str]:
        """All of them."""
        return [name for name in self.connection.collections(self._prefix) if name[len(self._prefix) :].isdigit()]

    def new_name(self) -> str:
        """The name of the next one."""
        return f"{self._prefix}{max((_number(name) for name in self.names()), default=0) + 1}"

    def note(self, collection: str, stamp: CollectionStamp) -> None:
        """Stamp a collection."""
        self.connection.note(collection, _STAMP, stamp.as_text())

    def drop(self, *, but: set[str] | frozenset[str] = frozenset()) -> None:
        """Delete the collections but some, and the files of their ids."""
        for name in self.names():
            if name not in but:
                self.connection.drop(name)
                drop_rows(self._library, name)

    def opened(self, saved: SavedCollection, ids: NDArray[np.int64]) -> MilvusIndex:
        """The index of a collection that holds these ids, int64 [n], ascending."""
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

    # --- what it holds --------------------------------------------------------------------------

    def save_rows(self, collection: str, rows: CollectionManifest, vocabulary: Vocabulary) -> str:
        """Keep what a collection holds beside the library, as Milvus lists millions of rows slowly.

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
            logger.warning("what %s holds was not saved: %s", collection, error)
        return state

    def saved_rows(self, saved: SavedCollection) -> CollectionManifest | None:
        """What a collection held when it was last whole; ``None`` if that was not kept here."""
        path = self._path(saved.name, saved.stamp.state, _ROWS)  # where a mapped file cannot be deleted, it is read
        try:
            rows = np.load(path, allow_pickle=False) if sys.platform == "win32" else np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        return CollectionManifest(*rows) if rows.dtype == np.int64 and rows.ndim == 2 and len(rows) == 2 else None

    def listed_rows(self, collection: str) -> CollectionManifest:
        """What Milvus says that a collection holds."""
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
    """Delete what is kept beside a library of what a collection holds."""
    for kind in (_ROWS, _VOCABULARY):
        for path in (library / VECTORS_NAME).glob(f"{collection}.*{kind}"):
            path.unlink(missing_ok=True)


def space_prefix(engine: MilvusEngine) -> str:
    """How the names of all collections of a library begin."""
    return f"clipsearch_{engine.space}_"


def _slug(model: ModelRecord) -> str:
    spec = re.sub(r"[^A-Za-z0-9]+", "_", model.spec).strip("_")[-80:]
    return f"{spec}_{model.fingerprint[:8]}"


def _number(collection: str) -> int:
    return int(collection.rpartition("_")[2])
