"""The files of a saved index, whatever its kind: opening, saving what is recent, deleting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from clipsearch.vectors.faiss.files import IndexFile, IndexFileError, IndexStamp, open_file
from clipsearch.vectors.faiss.flat_index import FlatIndex
from clipsearch.vectors.faiss.ivf_index import IvfIndex


def recent_path(path: Path) -> Path:
    """Beside an approximate index: what was added and removed since it was saved."""
    return path.with_name(f"{path.stem}.recent{path.suffix}")


def open_index(path: Path, *, verify: bool = False) -> tuple[FlatIndex | IvfIndex, IndexStamp]:
    """Open a saved index, memory-mapped, with what was added and removed since.

    Args:
        path: of its file.
        verify: compare all bytes with the checksums.

    Returns:
        The index and its stamp, with the revision that it has by what is recent.

    Raises:
        IndexFileError: it is missing, damaged or not an index of ours.
    """
    file = open_file(path, verify=verify)
    if "lists" not in file.sections:
        return FlatIndex.from_file(file), file.stamp
    index = IvfIndex.from_file(file)
    recent = recent_path(path)
    if recent.exists():
        added = open_file(recent, verify=verify)
        if added.stamp.details.get("base") == file.stamp.checksum:
            return _with_recent(index, file, added), replace(file.stamp, revision=added.stamp.revision)
    return index, file.stamp


def save_recent(path: Path, index: IvfIndex, stamp: IndexStamp) -> None:
    """Save what was added to and removed from the approximate index at `path`.

    Args:
        path: of the index's own file.
        index: as opened from there.
        stamp: what it is now.

    Raises:
        OSError: it cannot be written.
        IndexFileError: the file is another by now.
    """
    base = open_file(path).stamp
    added, removed = index.recent()
    details = {"base": base.checksum, "removed": removed.tolist()}
    added.save(recent_path(path), replace(stamp, details=details))


def delete_index(path: Path) -> None:
    """Delete the files of a saved index, if there are any."""
    path.unlink(missing_ok=True)
    recent_path(path).unlink(missing_ok=True)


def _with_recent(index: IvfIndex, file: IndexFile, added: IndexFile) -> IvfIndex:
    if (added.stamp.model, added.stamp.dim) != (file.stamp.model, file.stamp.dim):
        raise IndexFileError("what was added to it is of another model")
    removed = np.array(added.stamp.details["removed"], np.int64)
    index.restore_recent(FlatIndex.from_file(added, writable=True), removed)
    return index
