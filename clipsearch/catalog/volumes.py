"""Volumes of folders, and whether a root is online."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from clipsearch.catalog.records import RootPlace, RootRecord
from clipsearch.system.remote_files import scheme_of


@dataclass(frozen=True)
class VolumePlace:
    """A folder's location on its volume, independent of the mount point.

    Attributes:
        volume_id: ``uuid:…`` on Linux (``/dev/disk/by-uuid``), ``serial:…`` on Windows; ``None`` if unknown, as for
            network file systems.
        volume_path: path from the mount point, joined by ``/``; ``None`` without `volume_id`.
    """

    volume_id: str | None
    volume_path: str | None


def place_of(folder: Path) -> VolumePlace:
    """The location of an existing folder on its volume.

    Raises:
        OSError: the folder does not exist.
    """
    volume_id = _volume_id(folder)
    if volume_id is None:
        return VolumePlace(None, None)
    mount = folder
    while not os.path.ismount(mount) and mount != mount.parent:
        mount = mount.parent
    relative = folder.relative_to(mount).as_posix()
    return VolumePlace(volume_id, "" if relative == "." else relative)


def is_online(root: RootPlace) -> bool:
    """Whether a root is online: its folder exists, is on the same volume and not empty.

    An empty folder counts as the mount point of an unmounted drive, unless the root is known to have no files
    (`RootRecord.files`). A remote root is never online (`clipsearch.system.remote_files`).
    """
    if scheme_of(root.path) is not None:
        return False
    try:
        if root.volume_id is not None and _volume_id(root.path) != root.volume_id:
            return False
        with os.scandir(root.path) as entries:
            return (isinstance(root, RootRecord) and not root.files) or any(True for _ in entries)
    except OSError:
        return False


def _volume_id(folder: Path) -> str | None:
    device = folder.stat().st_dev
    if sys.platform == "win32":
        return f"serial:{device:x}"
    try:
        for name in os.listdir("/dev/disk/by-uuid"):  # noqa: PTH208
            if os.stat(f"/dev/disk/by-uuid/{name}").st_rdev == device:  # noqa: PTH116
                return f"uuid:{name}"
    except OSError:
        return None  # not Linux, or a container without devices
    return None
