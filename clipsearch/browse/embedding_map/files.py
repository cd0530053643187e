"""Save and load a drawn map, a cache that is drawn again if it cannot be used."""

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
from clipsearch.vectors.common import model_key, model_slug

MAPS_NAME = "maps"

_VERSION = 1
"""Raise it when drawing changes, so that older maps are drawn again."""

_ARRAYS = ("ids", "content_hashes", "points", "clusters", "came_later", "directions")
_NUMBERS = ("left", "method", "drawn_at", "revision")


def map_path(library: Path, model: ModelRecord) -> Path:
    """The file of the map of a model's embeddings."""
    return library / MAPS_NAME / f"{model_slug(model)}.npz"


@contextmanager
def map_lock(library: Path, *, wait_s: float) -> Iterator[bool]:
    """Lock the map of a library; yields ``False`` on timeout.

    Raises:
        OSError: the library is not writable.
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
    """Write a map atomically and delete those of other models.

    Raises:
        OSError: the map cannot be written; the previous one is kept.
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
    """The saved map of a model; ``None`` if there is none or it cannot be used."""
    try:
        with map_path(library, model).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            stamp: dict[str, Any] = json.loads(bytes(file["stamp"]))
            if (stamp["version"], stamp["model"]) != (_VERSION, model_key(model)):
                return None
            layout = Layout(**{field.name: file[field.name] for field in fields(Layout)})
            arrays = {name: file[name] for name in _ARRAYS}
            return DrawnMap(**arrays, layout=layout, **{name: stamp[name] for name in _NUMBERS})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):  # missing, damaged or foreign
        return None
