"""The file of a drawn map: a cache, written beside its place and renamed, made again whenever it cannot be used."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from clipsearch.browse.embedding_map.layout import Layout
from clipsearch.browse.embedding_map.projection import DrawnMap
from clipsearch.catalog.records import ModelRecord
from clipsearch.system import atomic
from clipsearch.vectors.common import model_key
from clipsearch.vectors.sync import index_path

MAPS_NAME = "maps"

_VERSION = 1
"""Raised when maps are drawn otherwise: those of before are then drawn anew."""

_ARRAYS = ("ids", "content_hashes", "points", "clusters", "came_later", "directions")
_NUMBERS = ("left", "method", "drawn_at", "revision")


def map_path(library: Path, model: ModelRecord) -> Path:
    """Where the map of a model's embeddings is kept."""
    return library / MAPS_NAME / f"{index_path(library, model).stem}.npz"


@contextmanager
def map_lock(library: Path, *, wait_s: float) -> Iterator[bool]:
    """The right to draw and save a library's map; ``False`` if another process has it for longer than is waited.

    Raises:
        OSError: the library cannot be written to.
    """
    from filelock import FileLock, Timeout

    folder = library / MAPS_NAME
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "drawing.lock", timeout=wait_s)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def save_map(library: Path, model: ModelRecord, drawn: DrawnMap) -> None:
    """Write a map; those of other models, which nobody looks at any more, are removed.

    Raises:
        OSError: it cannot be written; the one of before is then still there.
    """
    path = map_path(library, model)
    stamp = {"version": _VERSION, "model": model_key(model), **{name: getattr(drawn, name) for name in _NUMBERS}}
    arrays = {name: getattr(drawn, name) for name in _ARRAYS} | asdict(drawn.layout)
    with atomic.replacing(path, durable=True) as file:
        np.savez(file, stamp=np.frombuffer(json.dumps(stamp).encode(), np.uint8), **arrays)
    for other in path.parent.glob("*.npz"):
        if other != path:
            other.unlink(missing_ok=True)


def load_map(library: Path, model: ModelRecord) -> DrawnMap | None:
    """The map that was saved for a model; ``None`` if there is none that can be used."""
    try:
        with map_path(library, model).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            stamp: dict[str, Any] = json.loads(bytes(file["stamp"]))
            if (stamp["version"], stamp["model"]) != (_VERSION, model_key(model)):
                return None
            layout = Layout(**{field.name: file[field.name] for field in fields(Layout)})
            arrays = {name: file[name] for name in _ARRAYS}
            return DrawnMap(**arrays, layout=layout, **{name: stamp[name] for name in _NUMBERS})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):  # missing, damaged or not ours
        return None
