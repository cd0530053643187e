"""What is asked of Milvus, through pymilvus, with its errors as ours.

A local file is opened by Milvus Lite, inside this process and for it alone: a second process cannot open it meanwhile.
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
from clipsearch.vectors.faiss.io import Block
from clipsearch.vectors.index import Neighbors
from clipsearch.vectors.milvus.fields import FIELDS, ScalarFields

TOKEN_VARIABLE = "CLIPSEARCH_MILVUS_TOKEN"
"""``USER:PASSWORD`` or an API key, for servers that ask for one."""

MOST_RESULTS = 16_384
"""Results that Milvus gives for one request at most."""

ID, VECTOR = "id", "vector"
"""Fields of every collection; those of `clipsearch.vectors.milvus.fields` come with them."""

Fields = Mapping[int, ScalarFields]
"""Those, by id; nothing is known of an id that is not there."""

_CONSISTENCY = "Strong"
"""Every read sees all that was written before it, by whichever process: the catalog's revision says what that is."""

_CONNECT_S = 10.0
_PATIENCE_S = 600.0
"""How long one request may take: loading and indexing a large collection is one."""

_REQUEST_BYTES = 8 << 20
"""Vectors that are sent or fetched at once; a server takes up to 64 MB."""

_lock = threading.RLock()
_open: weakref.WeakValueDictionary[str, MilvusConnection] = weakref.WeakValueDictionary()
_users: Counter[str] = Counter()
"""Connections to each local file that are not closed yet: the last one sets it free."""


class LocalFileError(LibraryError):
    """A local file of Milvus cannot be opened: another process has it open, or it is damaged."""


def connect(address: str, *, local: bool) -> MilvusConnection:
    """The connection to a server, or to a local file by its path; one for the whole process, closed with its last user.

    Raises:
        ConfigError: what is needed for it is not installed.
        LocalFileError: the local file cannot be opened.
        LibraryError: the server cannot be reached.
    """
    with _lock:
        connection = _open.get(address)
        if connection is None:
            connection = _open[address] = MilvusConnection(address, local=local)
        return connection


class MilvusConnection:
    """A connection to a server, or to a local file that this process has opened. Safe to use from several threads."""

    def __init__(self, address: str, *, local: bool) -> None:
        """Connect; use `connect`."""
        require_extra("scale", "pymilvus", *(["milvus_lite"] if local else []), what="Milvus")
        from pymilvus import MilvusClient

        self.address = address
        self.is_local = local
        for name in ("pymilvus", "milvus_lite"):  # they print tracebacks of what is raised and told here
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # Milvus Lite keeps a search's number of lists where another thread's search finds it, and takes one writer
        self._turn: contextlib.AbstractContextManager[Any] = threading.Lock() if local else contextlib.nullcontext()
        if local:
            _make_parent(Path(address))
        with self._translated("be reached"):
            token = "" if local else os.environ.get(TOKEN_VARIABLE, "")
            self._client = MilvusClient(address, token=token, timeout=_CONNECT_S)
        _users[address] += 1
        self._finalizer = weakref.finalize(self, _close, self._client, address, local)

    def close(self) -> None:
        """Give the connection up, and set a local file free."""
        with _lock:
            if _open.get(self.address) is self:
                del _open[self.address]
            self._finalizer()

    # --- collections ----------------------------------------------------------------------------

    def collections(self, prefix: str) -> list[str]:
        """The names that begin so."""
        with self._translated("be read"):
            return sorted(name for name in self._client.list_collections() if name.startswith(prefix))

    def properties(self, collection: str) -> dict[str, str]:
        """What is noted with a collection."""
        with self._translated("be read"):
            return dict(self._client.describe_collection(collection).get("properties") or {})

    def note(self, collection: str, key: str, value: str) -> None:
        """Note something with a collection."""
        with self._translated("be written to"):
            self._client.alter_collection_properties(collection, properties={key: value})

    def create(self, collection: str, dim: int) -> None:
        """Make an empty collection of vectors of a dimension, without an index."""
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
        """Seal what a collection holds, build its index, and load it: searches can begin."""
        with self._translated("index"), self._turn:
            self._client.flush(collection, timeout=_PATIENCE_S)
            options = {"nlist": lists} if lists else {}
            params = self._client.prepare_index_params()
            # Milvus Lite reads the options where pymilvus put them before it took to spreading them out
            params.add_index(
                VECTOR, index_type=kind, metric_type="IP", params={"params": options} if self.is_local else options
            )
            # it builds while it loads, and knows nothing of what pymilvus waits for
            self._client.create_index(collection, params, timeout=_PATIENCE_S, sync=not self.is_local)
            self._client.load_collection(collection, timeout=_PATIENCE_S)

    def load(self, collection: str) -> None:
        """Make a collection ready for searches, if it is not."""
        with self._translated("load"), self._turn:
            self._client.load_collection(collection, timeout=_PATIENCE_S)

    def flush(self, collection: str) -> None:
        """Seal what was written, so that it is indexed."""
        with self._translated("be written to"), self._turn:
            self._client.flush(collection, timeout=_PATIENCE_S)

    def drop(self, collection: str) -> None:
        """Delete a collection, if there is one of that name."""
        with self._translated("delete"), self._turn:
            if self._client.has_collection(collection):
                self._client.drop_collection(collection, timeout=_PATIENCE_S)

    # --- rows -----------------------------------------------------------------------------------

    def insert(self, collection: str, blocks: Iterable[Block], fields: Fields | None = None) -> None:
        """Add ids with their vectors and fields; the ids must be new."""
        for rows in _rows(blocks, fields or {}):
            with self._translated("be written to"), self._turn:
                self._client.insert(collection, rows, timeout=_PATIENCE_S)

    def upsert(self, collection: str, blocks: Iterable[Block], fields: Fields | None = None) -> None:
        """As `insert`, or put them in the place of what the ids have."""
        for rows in _rows(blocks, fields or {}):
            with self._translated("be written to"), self._turn:
                self._client.upsert(collection, rows, timeout=_PATIENCE_S)

    def delete(self, collection: str, ids: NDArray[np.int64]) -> None:
        """Delete rows by id; ids that are not there are passed over."""
        for start in range(0, len(ids), MOST_RESULTS):
            with self._translated("be written to"), self._turn:
                self._client.delete(collection, ids=ids[start : start + MOST_RESULTS].tolist(), timeout=_PATIENCE_S)

    def ids(self, collection: str, *, where: str = "") -> NDArray[np.int64]:
        """The ids of a collection, or of what passes an expression, int64 [n], ascending; asks page by page."""
        ids: NDArray[np.int64] = self.columns(collection, [ID], where=where)[0]
        return ids

    def columns(self, collection: str, names: Sequence[str], *, where: str = "") -> NDArray[np.int64]:
        """Fields of numbers, one a row, int64 [names, n], by ascending values of the first."""
        self.load(collection)
        found: list[list[int]] = []
        with self._translated("be read"):
            pages = self._client.query_iterator(
                collection, filter=where, batch_size=MOST_RESULTS, output_fields=list(names), timeout=_PATIENCE_S
            )
            while page := pages.next():
                found += [[row[name] for name in names] for row in page]
            pages.close()
        columns: NDArray[np.int64] = np.array(sorted(found), np.int64).reshape(-1, len(names)).T
        return columns

    def count(self, collection: str, where: str) -> int:
        """How many rows pass an expression."""
        with self._translated("be read"), self._turn:
            rows = self._client.query(collection, filter=where, output_fields=["count(*)"], timeout=_PATIENCE_S)
        return int(rows[0]["count(*)"])

    def vectors(self, collection: str, ids: NDArray[np.int64], dim: int) -> Iterator[Block]:
        """Vectors by id, in blocks and in no order, int64 [n] and float32 [n, dim]; unknown ids are passed over."""
        step = max(1, min(MOST_RESULTS, _REQUEST_BYTES // (4 * dim)))
        for start in range(0, len(ids), step):
            with self._translated("be read"), self._turn:
                rows = self._client.get(
                    collection, ids=ids[start : start + step].tolist(), output_fields=[VECTOR], timeout=_PATIENCE_S
                )
            if rows:
                yield (
                    np.array([row[ID] for row in rows], np.int64),
                    np.array([row[VECTOR] for row in rows], np.float32),
                )

    def search(
        self, collection: str, queries: NDArray[np.float32], limit: int, *, lists: int, where: str = ""
    ) -> list[Neighbors]:
        """The nearest of each query, float32 [n, dim], as Milvus ranks them.

        Args:
            collection: where.
            queries: float32 [n, dim].
            limit: how many of each, up to `MOST_RESULTS`.
            lists: how many lists of an inverted file to look into; 0 if there is none.
            where: an expression that rows have to pass.
        """
        with self._translated("search"), self._turn:
            found: Sequence[Any] = self._client.search(
                collection,
                data=list(np.ascontiguousarray(queries, np.float32)),
                filter=where,
                limit=limit,
                output_fields=[ID],  # without a word of it, Milvus Lite gives all of them, vectors included
                search_params={"metric_type": "IP", "params": {"nprobe": lists} if lists else {}},
                timeout=_PATIENCE_S,
            )
        return [Neighbors(np.array(hits.ids, np.int64), np.array(hits.distances, np.float32)) for hits in found]

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        from grpc import RpcError  # type: ignore[import-untyped]
        from pymilvus.exceptions import ConnectionConfigException, MilvusException

        try:
            yield
        except ConnectionConfigException as error:
            if self.is_local:
                raise LocalFileError(
                    f"cannot open {self.address}: another process has it open, or it is damaged"
                ) from error
            raise ConfigError(f"{self.address} is no address of Milvus: {_first_line(error.message)}") from error
        except MilvusException as error:
            raise LibraryError(f"Milvus at {self.address} cannot {what}: {_first_line(error.message)}") from error
        except RpcError as error:  # which pymilvus passes on where trying again is no use
            raise LibraryError(f"Milvus at {self.address} cannot {what}: {_first_line(error.details())}") from error


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalFileError(f"cannot open {path}: {error.strerror or error}") from error


def _rows(blocks: Iterable[Block], fields: Fields) -> Iterator[list[dict[str, Any]]]:
    """Rows, as many as one request takes; their vectors are those that float16 holds, as in every index."""
    nothing = ScalarFields()
    for ids, vectors in blocks:
        stored = np.asarray(vectors, np.float16).astype(np.float32)
        step = max(1, _REQUEST_BYTES // (4 * stored.shape[1] + 64))
        for start in range(0, len(ids), step):
            part = zip(ids[start : start + step].tolist(), stored[start : start + step], strict=True)
            yield [{ID: row_id, VECTOR: vector, **fields.get(row_id, nothing).as_row()} for row_id, vector in part]


def _first_line(message: object) -> str:
    """What happened, without what pymilvus repeats."""
    return (str(message).strip().splitlines() or ["it gives no reason"])[0]


def _close(client: Any, address: str, local: bool) -> None:
    with _lock:
        client.close()
        _users[address] -= 1
        if local and not _users[address]:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(address)
