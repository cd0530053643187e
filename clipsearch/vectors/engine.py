"""The engines that keep a library's vectors: files read by FAISS, the default, or Milvus.

The choice is a setting of the library, in ``vectors/engine.json``; a library without that file uses FAISS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.system import atomic
from clipsearch.text import Notify
from clipsearch.vectors.common import APPROXIMATE_FROM, VECTORS_NAME
from clipsearch.vectors.index import VectorIndex

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

ENGINE_NAME = "engine.json"

ENGINES: Mapping[str, str] = {
    "faiss": "clipsearch.vectors.faiss.engine:FaissEngine",
    "milvus": "clipsearch.vectors.milvus.engine:MilvusEngine",
}
"""Where the `VectorEngine` of each name is; loaded when it is used."""


class VectorEngine(Protocol):
    """Keeps the vectors of each model of a library in step with the catalog, which alone is true.

    A process that writes to the library (`locked`) leaves the index that suits the number of vectors; a search that
    finds the index behind makes up for the difference and never trains. Two engines with equal settings are equal.
    Methods raise `LibraryError` if the engine cannot be reached.

    Attributes:
        name: its key in `ENGINES`.
    """

    name: ClassVar[str]

    @classmethod
    def of_target(cls, address: str, shared_name: str | None) -> Self:
        """The engine at an address that a person gave, ``""`` for the default one.

        Args:
            address: of the engine.
            shared_name: of the database, if the library is shared: the same on all its machines.

        Raises:
            ConfigError: it is no address of this engine.
        """
        ...

    @classmethod
    def of_settings(cls, settings: Mapping[str, str]) -> Self:
        """The inverse of `settings`.

        Raises:
            KeyError: a setting is missing.
        """
        ...

    def settings(self) -> dict[str, str]:
        """What ``engine.json`` says of it besides its name."""
        ...

    def describe(self, library: Path) -> str:
        """Its name and place, for a message."""
        ...

    def saved(self, library: Path, model: ModelRecord, revision: int) -> VectorIndex | None:
        """The index of exactly that revision of the catalog, if opening it takes no more than mapping a file."""
        ...

    def current(
        self,
        store: Catalog,
        model: ModelRecord,
        *,
        notify: Notify,
        locked: bool = False,
        approximate_from: int = APPROXIMATE_FROM,
    ) -> tuple[VectorIndex, int]:
        """The index as the catalog has it now, and the catalog's revision that it agrees with.

        Uses the saved one when it is of the catalog's revision, brings it up to date when it is behind, and makes it
        again when it is missing, damaged or of another model; then saves it, unless another process writes.

        Args:
            store: the catalog.
            model: whose vectors.
            notify: gets a line when a damaged index is replaced and when a large one is trained.
            locked: the caller holds the writer's lock and may wait for as long as training takes.
            approximate_from: number of vectors from which on the index is an approximate one.

        Raises:
            ConfigError: what the engine needs is not installed.
        """
        ...

    def build(self, store: Catalog, model: ModelRecord, *, notify: Notify, approximate_from: int) -> VectorIndex:
        """`current` for whoever moves a library to this engine and holds the lock of its directory."""
        ...

    def delete(self, library: Path, model: ModelRecord) -> None:
        """Delete what it keeps of a model."""
        ...

    def retire(self, store: Catalog, successor: VectorEngine, notify: Notify) -> None:
        """Delete what it keeps of a library that uses another engine now, except what that one or others still use."""
        ...

    def fault(
        self, store: Catalog, model: ModelRecord, compare: Callable[[VectorIndex, NDArray[np.int64]], str | None]
    ) -> tuple[str, str] | None:
        """What is wrong with a model's saved index, and its name; ``None`` also for one that is behind or missing.

        Args:
            store: the catalog.
            model: whose vectors.
            compare: what is wrong with the vectors of an index with these ids, int64 [n], ascending.
        """
        ...

    def strays(self, store: Catalog) -> list[str]:
        """Names of saved indexes of the library that belong to none of its models."""
        ...

    def delete_strays(self, store: Catalog) -> None:
        """Delete `strays`."""
        ...


def library_engine(library: Path) -> VectorEngine:
    """The engine that a library uses.

    Raises:
        LibraryError: the setting cannot be read.
    """
    path = _setting(library)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _engine_class("faiss").of_settings({})
    except OSError as error:
        raise LibraryError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        settings = json.loads(text)
        return _engine_class(settings.pop("engine")).of_settings(settings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(f"{path} is damaged; choose the engine again with: clipsearch index-copy") from error


def current_index(
    store: Catalog,
    model: ModelRecord,
    *,
    notify: Notify,
    locked: bool = False,
    approximate_from: int = APPROXIMATE_FROM,
) -> tuple[VectorIndex, int]:
    """`VectorEngine.current` of the engine that the library uses."""
    engine = library_engine(store.directory)
    return engine.current(store, model, notify=notify, locked=locked, approximate_from=approximate_from)


def choose_engine(library: Path, engine: VectorEngine) -> None:
    """Make a library use an engine.

    Raises:
        LibraryError: the setting cannot be written.
    """
    path = _setting(library)
    settings = engine.settings()
    try:
        if settings:
            atomic.write_text(path, json.dumps({"engine": engine.name, **settings}) + "\n")
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LibraryError(f"cannot write {path}: {error.strerror or error}") from error


def engine_named(target: str, *, shared_name: str | None = None) -> VectorEngine:
    """The engine that ``NAME`` or ``NAME:ADDRESS`` names.

    Args:
        target: as a person gives it, for example ``milvus:http://host:19530``.
        shared_name: as for `VectorEngine.of_target`.

    Raises:
        ConfigError: it names none.
    """
    name, _, address = target.partition(":")
    if name not in ENGINES:
        raise ConfigError(f"unknown vector engine {target!r}; the engines are: faiss, milvus, milvus:URI")
    return _engine_class(name).of_target(address, shared_name)


def _engine_class(name: str) -> type[VectorEngine]:
    engine: type[VectorEngine] = resolve_name(ENGINES[name])
    return engine


def _setting(library: Path) -> Path:
    return library / VECTORS_NAME / ENGINE_NAME
