"""Requests to Milvus through pymilvus, with its errors translated.

A local file is opened by Milvus Lite inside this process; other processes cannot open it at the same time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError, LibraryError
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import first_line
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.index import Neighbors
from clipsearch.vectors.milvus.fields import FIELDS, ScalarFields

TOKEN_VARIABLE = "CLIPSEARCH_MILVUS_TOKEN"
"""Environment variable with ``USER:PASSWORD`` or an API key, for servers that require one."""

MAX_RESULTS = 16_384
"""Milvus's maximum number of results per request."""

ID, VECTOR = "id", "vector"
"""Fields of every collection, besides those of `clipsearch.vectors.milvus.fields`."""

Fields = Mapping[int, ScalarFields]
"""Scalar fields by id; all unknown for a missing id."""

_CONSISTENCY = "Strong"
"""Reads see all earlier writes of any process, as the catalog's revision requires."""

_CONNECT_S = 10.0
_TIMEOUT_S = 600.0
"""Timeout of a request; loading or indexing a large collection is a single request."""

_REQUEST_BYTES = 8 << 20
"""Vectors sent or fetched at once; servers accept up to 64 MB."""

_lock = threading.RLock()
_open: weakref.WeakValueDictionary[str, MilvusConnection] = weakref.WeakValueDictionary()
_users: Counter[str] = Counter()
"""Open connections to each local file; closing the last one releases the file."""


class LocalFileError(LibraryError):
    """A Milvus Lite file cannot be opened: another process has it open, or it is damaged."""


def connect(address: str, *, local: bool) -> MilvusConnection:
    """The process-wide connection to a server or a local file, closed with its last user.

    Raises:
        ConfigError: pymilvus or Milvus Lite is not installed.
        LocalFileError: the local file cannot be opened.
        LibraryError: the server cannot be reached.
    """
    with _lock:
        connection = _open.get(address)
        if connection is None:
            connection = _open[address] = MilvusConnection(address, local=local)
        return connection


class MilvusConnection:
    """A connection to a server or a local file. Thread-safe."""

    def __init__(self, address: str, *, local: bool) -> None:
        """Connect; use `connect`."""
        require_extra("scale", "pymilvus", *(["milvus_lite"] if local else []), what="Milvus")
        from pymilvus import MilvusClient

        self.address = address
        self.is_local = local
        for name in ("pymilvus", "milvus_lite"):  # they log tracebacks of the errors raised here
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # Milvus Lite shares a search's nprobe between threads, and supports one writer
        self._turn: contextlib.AbstractContextManager[Any] = threading.Lock() if local else contextlib.nullcontext()
        if local:
            _make_parent(Path(address))
        with self._translated("be reached"):
            token = "" if local else os.environ.get(TOKEN_VARIABLE, "")
            self._client = MilvusClient(address, token=token, timeout=_CONNECT_S)
        _users[address] += 1
        self._finalizer = weakref.finalize(self, _close, self._client, address, local)

    def close(self) -> None:
        """Close the connection and release a local file."""
        with _lock:
            if _open.get(self.address) is self:
                del _open[self.address]
            self._finalizer()

    # --- collections ----------------------------------------------------------------------------

    def collections(self, prefix: str) -> list[str]:
        """Names of the collections with a prefix."""
        with self._translated("be read"):
            return sorted(name for name in self._client.list_collections() if name.startswith(prefix))

    def properties(self, collection: str) -> dict[str, str]:
        """The properties of a collection."""
        with self._translated("be read"):
            return dict(self._client.describe_collection(collection).get("properties") or {})

    def note(self, collection: str, key: str, value: str) -> None:
        """Set a property of a collection."""
        with self._translated("be written to"):
            self._client.alter_collection_properties(collection, properties={key: value})

    def create(self, collection: str, dim: int) -> None:
        """Create an empty collection without an index."""
        from pymilvus import DataType

        with self._translated("make a collection"):
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field(ID, DataType.INT64, is_primary=True)
            schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
            for name, kind in FIELDS.items():
                array = {"element_type": DataType.INT64, "max_capacity": 4096} if kind == "ARRAY" else {}
                schema.add_field(name, DataType[kind], **array)
            self._client.create_collection(collection, schema=schema, consistency_level=_CONSISTENCY)

    def index(self, collection: str, kind: str, *, lists: int) -> None:
        """Flush a collection, build its index and load it for searches."""
        with self._translated("index"), self._turn:
            self._client.flush(collection, timeout=_TIMEOUT_S)
            options = {"nlist": lists} if lists else {}
            params = self._client.prepare_index_params()
            # Milvus Lite reads the options where older versions of pymilvus put them
            params.add_index(
                VECTOR, index_type=kind, metric_type="IP", params={"params": options} if self.is_local else options
            )
            # Milvus Lite builds the index while loading, without the state that pymilvus waits for
            self._client.create_index(collection, params, timeout=_TIMEOUT_S, sync=not self.is_local)
            self._client.load_collection(collection, timeout=_TIMEOUT_S)

    def load(self, collection: str) -> None:
        """Load a collection for searches."""
        with self._translated("load"), self._turn:
            self._client.load_collection(collection, timeout=_TIMEOUT_S)

    def flush(self, collection: str) -> None:
        """Seal written rows, so that they are indexed."""
        with self._translated("be written to"), self._turn:
            self._client.flush(collection, timeout=_TIMEOUT_S)

    def drop(self, collection: str) -> None:
        """Delete a collection, if it exists."""
        with self._translated("delete"), self._turn:
            if self._client.has_collection(collection):
                self._client.drop_collection(collection, timeout=_TIMEOUT_S)

    # --- rows -----------------------------------------------------------------------------------

    def insert(self, collection: str, blocks: Iterable[Block], fields: Fields | None = None) -> None:
        """Insert rows; the ids must be new."""
        for rows in _rows(blocks, fields or {}):
            with self._translated("be written to"), self._turn:
                self._client.insert(collection, rows, timeout=_TIMEOUT_S)

    def upsert(self, collection: str, blocks: Iterable[Block], fields: Fields | None = None) -> None:
        """Insert or replace rows."""
        for rows in _rows(blocks, fields or {}):
            with self._translated("be written to"), self._turn:
                self._client.upsert(collection, rows, timeout=_TIMEOUT_S)

    def delete(self, collection: str, ids: NDArray[np.int64]) -> None:
        """Delete rows by id; unknown ids are ignored."""
        for start in range(0, len(ids), MAX_RESULTS):
            with self._translated("be written to"), self._turn:
                self._client.delete(collection, ids=ids[start : start + MAX_RESULTS].tolist(), timeout=_TIMEOUT_S)

    def ids(self, collection: str, *, where: str = "") -> NDArray[np.int64]:
        """Ids of the rows, optionally those that pass an expression, int64 [n], ascending."""
        ids: NDArray[np.int64] = self.columns(collection, [ID], where=where)[0]
        return ids

    def columns(self, collection: str, names: Sequence[str], *, where: str = "") -> NDArray[np.int64]:
        """Integer fields of the rows, int64 [names, n], sorted by the first."""
        self.load(collection)
        values: list[list[int]] = []
        with self._translated("be read"):
            pages = self._client.query_iterator(
                collection, filter=where, batch_size=MAX_RESULTS, output_fields=list(names), timeout=_TIMEOUT_S
            )
            while page := pages.next():
                values += [[row[name] for name in names] for row in page]
            pages.close()
        columns: NDArray[np.int64] = np.array(sorted(values), np.int64).reshape(-1, len(names)).T
        return columns

    def count(self, collection: str, where: str) -> int:
        """Number of rows that pass an expression."""
        with self._translated("be read"), self._turn:
            rows = self._client.query(collection, filter=where, output_fields=["count(*)"], timeout=_TIMEOUT_S)
        return int(rows[0]["count(*)"])

    def vectors(self, collection: str, ids: NDArray[np.int64], dim: int) -> Iterator[Block]:
        """Vectors by id, in unordered blocks, int64 [n] and float32 [n, dim]; unknown ids are ignored."""
        step = max(1, min(MAX_RESULTS, _REQUEST_BYTES // (4 * dim)))
        for start in range(0, len(ids), step):
            with self._translated("be read"), self._turn:
                rows = self._client.get(
                    collection, ids=ids[start : start + step].tolist(), output_fields=[VECTOR], timeout=_TIMEOUT_S
                )
            if rows:
                yield (
                    np.array([row[ID] for row in rows], np.int64),
                    np.array([row[VECTOR] for row in rows], np.float32),
                )

    def search(
        self, collection: str, queries: NDArray[np.float32], limit: int, *, lists: int, where: str = ""
    ) -> list[Neighbors]:
        """The nearest neighbors of each query, as ranked by Milvus.

        Args:
            collection: its name.
            queries: float32 [n, dim].
            limit: neighbors per query, up to `MAX_RESULTS`.
            lists: lists of an inverted file to probe; 0 for a flat index.
            where: filter expression.
        """
        with self._translated("search"), self._turn:
            results: Sequence[Any] = self._client.search(
                collection,
                data=list(np.ascontiguousarray(queries, np.float32)),
                filter=where,
                limit=limit,
                output_fields=[ID],  # by default Milvus Lite returns all fields, vectors included
                search_params={"metric_type": "IP", "params": {"nprobe": lists} if lists else {}},
                timeout=_TIMEOUT_S,
            )
        return [Neighbors(np.array(hits.ids, np.int64), np.array(hits.distances, np.float32)) for hits in results]

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        from grpc import RpcError  # type: ignore[import-untyped]
        from pymilvus.exceptions import ConnectionConfigException, MilvusException

        try:
            yield
        except ConnectionConfigException as error:
            if self.is_local:
                raise LocalFileError(
                    f"cannot open {self.address}: another process has it open, or it is damaged"
                ) from error
            raise ConfigError(f"{self.address} is not an address of Milvus: {first_line(error.message)}") from error
        except MilvusException as error:
            raise LibraryError(f"Milvus at {self.address} cannot {action}: {first_line(error.message)}") from error
        except RpcError as error:  # raised by pymilvus for errors it does not retry
            raise LibraryError(f"Milvus at {self.address} cannot {action}: {first_line(error.details())}") from error


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalFileError(f"cannot open {path}: {error.strerror or error}") from error


def _rows(blocks: Iterable[Block], fields: Fields) -> Iterator[list[dict[str, Any]]]:
    """Rows in batches of one request; vectors are rounded to float16, as in every index."""
    unknown = ScalarFields()
    for ids, vectors in blocks:
        stored = np.asarray(vectors, np.float16).astype(np.float32)
        step = max(1, _REQUEST_BYTES // (4 * stored.shape[1] + 64))
        for start in range(0, len(ids), step):
            part = zip(ids[start : start + step].tolist(), stored[start : start + step], strict=True)
            yield [{ID: row_id, VECTOR: vector, **fields.get(row_id, unknown).as_row()} for row_id, vector in part]


def _close(client: Any, address: str, local: bool) -> None:
    with _lock:
        client.close()
        _users[address] -= 1
        if local and not _users[address]:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(address)
