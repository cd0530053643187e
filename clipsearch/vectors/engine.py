"""Which engine holds a library's vectors: files read by FAISS, the rule, or Milvus.

The choice is a setting of the library, in ``vectors/engine.json``; a library without that file uses FAISS.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from clipsearch.errors import ConfigError, LibraryError
from clipsearch.system import atomic

VECTORS_NAME = "vectors"
ENGINE_NAME = "engine.json"

LOCAL_NAME = "milvus.db"
"""The local file of Milvus Lite, in the library's `VECTORS_NAME`, where no other is asked for."""

_SERVER_SCHEMES = ("http", "https", "tcp")


@dataclass(frozen=True)
class MilvusEngine:
    """Where Milvus holds a library's vectors.

    Attributes:
        uri: of a server or a cluster, or the path of a local file, from the library's `VECTORS_NAME`.
        space: begins the names of the library's collections, so that many libraries share a server.
    """

    uri: str
    space: str

    @property
    def is_local(self) -> bool:
        """Whether it is a file that Milvus Lite opens."""
        return urlsplit(self.uri).scheme not in _SERVER_SCHEMES

    def address(self, library: Path) -> str:
        """The URI, or the full path of the local file."""
        return str((library / VECTORS_NAME / self.uri).absolute()) if self.is_local else self.uri

    def is_inside(self, library: Path) -> bool:
        """Whether the vectors are a local file in the library, which goes with it."""
        return self.is_local and Path(self.address(library)).is_relative_to((library / VECTORS_NAME).absolute())


def new_space(shared_name: str | None) -> str:
    """A space that no other library has; the same on all machines of a library in a database of that name."""
    if shared_name is not None:
        import hashlib

        return hashlib.sha256(shared_name.encode()).hexdigest()[:8]
    return os.urandom(4).hex()


def library_engine(library: Path) -> MilvusEngine | None:
    """Where Milvus holds a library's vectors; ``None`` if FAISS does.

    Raises:
        LibraryError: the setting cannot be read.
    """
    path = _setting(library)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LibraryError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        content = json.loads(text)
        return MilvusEngine(uri=str(content["uri"]), space=str(content["space"]))
    except (ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{path} is damaged; choose the engine again with: clipsearch index-copy") from error


def choose_engine(library: Path, engine: MilvusEngine | None) -> None:
    """Make a library use an engine; ``None`` for FAISS.

    Raises:
        LibraryError: the setting cannot be written.
    """
    path = _setting(library)
    try:
        if engine is None:
            path.unlink(missing_ok=True)
        else:
            atomic.write_text(path, json.dumps(asdict(engine)) + "\n")
    except OSError as error:
        raise LibraryError(f"cannot write {path}: {error.strerror or error}") from error


def engine_named(target: str, *, space: str) -> MilvusEngine | None:
    """The engine that ``faiss``, ``milvus`` or ``milvus:URI`` names; ``None`` is FAISS.

    >>> engine_named("faiss", space="a") is None, engine_named("milvus:http://host:19530", space="a").uri
    (True, 'http://host:19530')

    Raises:
        ConfigError: it names none.
    """
    if target == "faiss":
        return None
    name, _, uri = target.partition(":")
    if name != "milvus":
        raise ConfigError(f"there is no engine {target!r}; those are: faiss, milvus, milvus:URI")
    return MilvusEngine(_checked(uri) if uri else LOCAL_NAME, space)


def _checked(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in _SERVER_SCHEMES:
        if parts.username or parts.password:
            raise ConfigError(
                "a password is no part of the setting; put it into CLIPSEARCH_MILVUS_TOKEN as USER:PASSWORD"
            )
        if not parts.hostname:
            raise ConfigError(f"{uri} names no host")
        return uri
    if "://" in uri:
        raise ConfigError(f"{uri} is no address of Milvus; it begins with http://, https:// or tcp://")
    if not uri.endswith(".db"):
        raise ConfigError(f"a local file of Milvus ends in .db, and {uri} does not")
    return str(Path(uri).expanduser().absolute())


def _setting(library: Path) -> Path:
    return library / VECTORS_NAME / ENGINE_NAME
