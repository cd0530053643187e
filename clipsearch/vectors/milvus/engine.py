"""Vectors on Milvus, a collection for each model.

As for the files of FAISS: a collection of the catalog's revision is used as it is; behind, the difference is added and
removed; missing or of another model, it is made again, beside the one in use. A collection is marked while it changes,
so that one whose change was broken off is known; its ids are then read from Milvus.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.config import typed_path
from clipsearch.errors import ConfigError, LibraryError, LibraryLockedError
from clipsearch.text import Notify
from clipsearch.vectors.common import APPROXIMATE_FROM, VECTORS_NAME, try_writer_lock
from clipsearch.vectors.index import VectorIndex

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog
    from clipsearch.vectors.engine import VectorEngine
    from clipsearch.vectors.milvus.collections import ModelCollections
    from clipsearch.vectors.milvus.connection import MilvusConnection

LOCAL_NAME = "milvus.db"
"""The local file of Milvus Lite, in the library's `VECTORS_NAME`, where no other is named."""

_SERVER_SCHEMES = ("http", "https", "tcp")

_OTHERS_S = 600.0
"""How long a writer waits for another machine that brings the same collection up to date."""


@dataclass(frozen=True)
class MilvusEngine:
    """See `clipsearch.vectors.engine.VectorEngine`.

    Attributes:
        uri: of a server or a cluster, or the path of a local file, from the library's `VECTORS_NAME`.
        space: begins the names of the library's collections, so that many libraries share a server.
    """

    name: ClassVar[str] = "milvus"
    uri: str
    space: str

    @classmethod
    def of_target(cls, address: str, shared_name: str | None) -> Self:
        """See `VectorEngine.of_target`."""
        space = os.urandom(4).hex() if shared_name is None else hashlib.sha256(shared_name.encode()).hexdigest()[:8]
        return cls(_checked(address) if address else LOCAL_NAME, space)

    @classmethod
    def of_settings(cls, settings: Mapping[str, str]) -> Self:
        """See `VectorEngine.of_settings`."""
        return cls(uri=str(settings["uri"]), space=str(settings["space"]))

    def settings(self) -> dict[str, str]:
        """See `VectorEngine.settings`."""
        return asdict(self)

    def describe(self, library: Path) -> str:
        """See `VectorEngine.describe`."""
        return f"milvus at {self.address(library)}"

    @property
    def is_local(self) -> bool:
        """Whether it is a file that Milvus Lite opens."""
        return urlsplit(self.uri).scheme not in _SERVER_SCHEMES

    def address(self, library: Path) -> str:
        """The URI, or the full path of the local file."""
        return str((library / VECTORS_NAME / self.uri).absolute()) if self.is_local else self.uri

    def connect(self, library: Path) -> MilvusConnection:
        """The connection to it."""
        from clipsearch.vectors.milvus.connection import connect

        return connect(self.address(library), local=self.is_local)

    def collections(self, library: Path, model: ModelRecord) -> ModelCollections:
        """What it keeps of a model."""
        from clipsearch.vectors.milvus.collections import ModelCollections

        return ModelCollections(self.connect(library), library, self.space, model)

    def saved(self, library: Path, model: ModelRecord, revision: int) -> VectorIndex | None:
        """See `VectorEngine.saved`: Milvus has to be asked."""
        return None

    def current(
        self,
        store: Catalog,
        model: ModelRecord,
        *,
        notify: Notify,
        locked: bool = False,
        approximate_from: int = APPROXIMATE_FROM,
    ) -> tuple[VectorIndex, int]:
        """See `VectorEngine.current`."""
        from clipsearch.vectors.milvus.connection import LocalFileError
        from clipsearch.vectors.milvus.refresh import Renewal, memory_index

        try:
            collections = self.collections(store.directory, model)
        except LocalFileError as error:
            notify(f"{error}; the catalog's embeddings are used instead")
            revision, live = store.live_embedding_ids(model.id)
            return memory_index(store, model, live), revision
        index = _up_to_date(store, collections, locked=locked, approximate_from=approximate_from)
        if index is not None:
            return index
        with self._lock(store, locked=locked) as may_write:
            if may_write:
                if store.shared:  # another machine may have done it while this one waited
                    index = _up_to_date(store, collections, locked=locked, approximate_from=approximate_from)
                return index or _renewed(
                    store, collections, notify, approximate_from=approximate_from, may_train=locked
                )
        revision, live = store.live_embedding_ids(model.id)
        return Renewal(store, collections, revision, live, notify).in_memory(collections.current()), revision

    def build(self, store: Catalog, model: ModelRecord, *, notify: Notify, approximate_from: int) -> VectorIndex:
        """See `VectorEngine.build`; raises `LibraryLockedError` while another machine changes the collection."""
        collections = self.collections(store.directory, model)
        with self._lock(store, locked=True):
            index = _up_to_date(store, collections, locked=True, approximate_from=approximate_from)
            renewed = index or _renewed(store, collections, notify, approximate_from=approximate_from, may_train=True)
            return renewed[0]

    def delete(self, library: Path, model: ModelRecord) -> None:
        """See `VectorEngine.delete`."""
        self.collections(library, model).drop()

    def retire(self, store: Catalog, successor: VectorEngine, notify: Notify) -> None:
        """See `VectorEngine.retire`."""
        from clipsearch.vectors.milvus.collections import drop_rows, space_prefix

        address = self.address(store.directory)
        if store.shared:  # other machines may use it on
            notify(f"the vectors in Milvus at {address} stay there for the library's other machines")
            return
        try:
            connection = self.connect(store.directory)
            for name in connection.collections(space_prefix(self.space)):
                connection.drop(name)
                drop_rows(store.directory, name)
        except LibraryError as error:
            notify(f"{error}; this library's vectors stay there")
            return
        is_inside = self.is_local and Path(address).is_relative_to((store.directory / VECTORS_NAME).absolute())
        if is_inside and successor.describe(store.directory) != self.describe(store.directory):
            connection.close()
            shutil.rmtree(address, ignore_errors=True)

    def fault(
        self, store: Catalog, model: ModelRecord, compare: Callable[[VectorIndex, NDArray[np.int64]], str | None]
    ) -> tuple[str, str] | None:
        """See `VectorEngine.fault`."""
        collections = self.collections(store.directory, model)
        saved = collections.current()
        revision, live = store.live_embedding_ids(model.id)
        if saved is None or not saved.stamp.whole or saved.stamp.revision != revision:
            return None  # the next search brings it up to date
        # the ids in Milvus, not those of the file beside it
        reason = compare(collections.opened(saved, collections.connection.ids(saved.name)), live)
        return (reason, model.spec) if reason is not None else None

    def strays(self, store: Catalog) -> list[str]:
        """See `VectorEngine.strays`."""
        from clipsearch.vectors.milvus.collections import space_prefix

        models = store.upkeep.models()
        used = {name for model in models for name in self.collections(store.directory, model).names()}
        names = self.connect(store.directory).collections(space_prefix(self.space))
        return [name for name in names if name not in used]

    def delete_strays(self, store: Catalog) -> None:
        """See `VectorEngine.delete_strays`."""
        from clipsearch.vectors.milvus.collections import drop_rows

        connection = self.connect(store.directory)
        for name in self.strays(store):
            connection.drop(name)
            drop_rows(store.directory, name)

    @contextlib.contextmanager
    def _lock(self, store: Catalog, *, locked: bool) -> Iterator[bool]:
        """This machine's right to write and, on a server that other machines use too, theirs.

        Raises:
            LibraryLockedError: another machine still has it, and the caller needs it (`locked`).
        """
        with try_writer_lock(store, "on Milvus", locked=locked) as is_free, contextlib.ExitStack() as stack:
            if is_free and not self.is_local:
                try:
                    stack.enter_context(store.vectors_lock(wait_s=_OTHERS_S if locked else 0.0))
                except LibraryLockedError:
                    if locked:
                        raise
                    yield False
                    return
            yield is_free


def _up_to_date(
    store: Catalog, collections: ModelCollections, *, locked: bool, approximate_from: int
) -> tuple[VectorIndex, int] | None:
    """The collection in use and the catalog's revision, if it is of that; ``None`` if something is to be done."""
    from clipsearch.vectors.milvus.refresh import is_of_wrong_kind

    revision = store.revision()
    saved = collections.current()
    if saved is None or not saved.stamp.whole or saved.stamp.revision != revision:
        return None
    rows = collections.saved_rows(saved)
    ids = rows.ids if rows is not None else None
    if ids is None:
        revision, ids = store.live_embedding_ids(collections.model.id)
    is_right = saved.stamp.fields == revision and not is_of_wrong_kind(saved, len(ids), approximate_from)
    if saved.stamp.revision != revision or (locked and not is_right):
        return None
    collections.connection.load(saved.name)
    return collections.opened(saved, ids), revision


def _renewed(
    store: Catalog,
    collections: ModelCollections,
    notify: Notify,
    *,
    approximate_from: int,
    may_train: bool,
) -> tuple[VectorIndex, int]:
    """The collection brought to the catalog's state, by whoever may change it."""
    from clipsearch.vectors.milvus.refresh import Renewal

    saved = collections.current()
    revision, live = store.live_embedding_ids(collections.model.id)
    renewal = Renewal(store, collections, revision, live, notify)
    return renewal.on_milvus(saved, approximate_from=approximate_from, may_train=may_train), revision


def _checked(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in _SERVER_SCHEMES:
        if parts.username or parts.password:
            raise ConfigError("a URI takes no password; put it into CLIPSEARCH_MILVUS_TOKEN as USER:PASSWORD")
        if not parts.hostname:
            raise ConfigError(f"{uri} names no host")
        return uri
    if "://" in uri:
        raise ConfigError(f"{uri} is not an address of Milvus: it must begin with http://, https:// or tcp://")
    if not uri.endswith(".db"):
        raise ConfigError(f"a local file of Milvus must end in .db; {uri} does not")
    return str(typed_path(uri).absolute())
