"""Drives: which file system a folder is on, and whether an indexed folder is there at all now."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from clipsearch.catalog.records import RootPlace, RootRecord
from clipsearch.system.remote_files import scheme_of


@dataclass(frozen=True)
class VolumePlace:
    """A folder's place on its file system, which survives unplugging and mounting elsewhere.

    Attributes:
        volume_id: ``uuid:…`` on Linux (from ``/dev/disk/by-uuid``), ``serial:…`` on Windows (the volume's
            serial number); ``None`` where the system does not tell, as for network and memory file systems.
        volume_path: from the mount point, parts joined by ``/``, empty for the mount point itself; ``None``
            without `volume_id`.
    """

    volume_id: str | None
    volume_path: str | None


def place_of(folder: Path) -> VolumePlace:
    """Where an existing folder is on its file system.

    Raises:
        OSError: it is not there.
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
    """Whether a root's pictures can be there: not if it is missing, emptied, or on another drive than before.

    An empty folder where pictures used to be is taken for the mount point of an unplugged drive; a root that is
    not known to be without files (`RootRecord.files`) is taken to have some. One at an address is never there
    (`clipsearch.system.remote_files`).
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
        return None  # no such directory: not Linux, or a container without devices
    return None
