"""Which file system a folder is on, as an identity that survives unplugging and mounting elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def volume_id(folder: Path) -> str | None:
    """Identity of the file system that holds a folder.

    Returns:
        ``uuid:…`` on Linux (from ``/dev/disk/by-uuid``), ``serial:…`` on Windows (the volume's serial
        number); ``None`` where the system does not tell, as for network and memory file systems.
    """
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
