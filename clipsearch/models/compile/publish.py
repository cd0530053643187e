"""Putting what was compiled in its place: whole, and durable on the disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from clipsearch.models.onnx.sessions import DATA_SUFFIX
from clipsearch.system import atomic


def put_graph(graph: Path, target: Path) -> None:
    """Move a prepared graph and its weights to a place of the same name."""
    if graph == target:
        return
    for suffix in (DATA_SUFFIX, ""):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
        part = graph.with_name(graph.name + suffix)
        if part.is_file():
            part.replace(target.with_name(target.name + suffix))


def publish(made: Path, target: Path) -> None:
    """Move a finished directory to its place, durable on the disk; replaces what is there."""
    for path in made.iterdir():
        atomic.sync_file(path)
    atomic.sync_directory(made)
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=target.parent))
        target.replace(old / "model")
        made.replace(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        made.replace(target)
    atomic.sync_directory(target.parent)
