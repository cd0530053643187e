"""Saved indexes of either kind: opening, saving later changes, deleting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipsearch.vectors.faiss.files import IndexFile, IndexFileError, IndexStamp, open_file
from clipsearch.vectors.faiss.flat_index import FlatIndex

if TYPE_CHECKING:
    from clipsearch.vectors.faiss.ivf_index import IvfIndex


def recent_path(path: Path) -> Path:
    """Path of the file with the changes since an approximate index was saved."""
    return path.with_name(f"{path.stem}.recent{path.suffix}")


def open_index(path: Path, *, verify: bool = False) -> tuple[FlatIndex | IvfIndex, IndexStamp]:
    """Open a saved index, memory-mapped, with the changes saved since.

    Args:
        path: of its file.
        verify: verify every block.

    Returns:
        The index and its stamp, with the revision after the changes.

    Raises:
        IndexFileError: a file is missing, damaged or of another format.
    """
    file = open_file(path, verify=verify)
    if "lists" not in file.sections:
        return FlatIndex.from_file(file), file.stamp
    from clipsearch.vectors.faiss.ivf_index import IvfIndex  # most libraries have no inverted file

    index = IvfIndex.from_file(file)
    recent = recent_path(path)
    if recent.exists():
        added = open_file(recent, verify=verify)
        if added.stamp.details.get("base") == file.stamp.checksum:
            return _with_recent(index, file, added), replace(file.stamp, revision=added.stamp.revision)
    return index, file.stamp


def save_recent(path: Path, index: IvfIndex, stamp: IndexStamp) -> None:
    """Save the changes to the approximate index at `path`.

    Args:
        path: of the index's own file.
        index: opened from it, with changes.
        stamp: stamp of the changed index.

    Raises:
        OSError: the file cannot be written.
        IndexFileError: the index's own file is missing or damaged.
    """
    base = open_file(path).stamp
    added, removed = index.recent()
    details = {"base": base.checksum, "removed": removed.tolist()}
    added.save(recent_path(path), replace(stamp, details=details))


def delete_index(path: Path) -> None:
    """Delete the files of a saved index, if they exist."""
    path.unlink(missing_ok=True)
    recent_path(path).unlink(missing_ok=True)


def _with_recent(index: IvfIndex, file: IndexFile, added: IndexFile) -> IvfIndex:
    if (added.stamp.model, added.stamp.dim) != (file.stamp.model, file.stamp.dim):
        raise IndexFileError("its saved changes are of another model")
    removed = np.array(added.stamp.details["removed"], np.int64)
    index.restore_recent(FlatIndex.from_file(added, writable=True), removed)
    return index
