"""Files that processes were writing when they were killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from clipsearch.maintenance.check.findings import Checkup, Finding
from clipsearch.media.thumbnails import THUMBNAILS_NAME
from clipsearch.system import atomic
from clipsearch.vectors.engine import VECTORS_NAME

"""The end of a temporary file's name: the process that writes it, and the thread if several do."""

_SURELY_LEFT_S = 24 * 3600.0
"""Age at which a temporary file is nobody's any more, whoever has its process's number now."""


def check_temporaries(checkup: Checkup) -> Iterator[Finding]:
    """Look for temporary files of processes that are no more."""
    found = leftover_files(checkup.store.directory)
    if found:
        yield Finding(
            "temporary",
            len(found),
            "temporary file",
            "of processes that were killed",
            found[0].name,
            "repairing deletes them",
            is_damage=False,
            repairable=True,
        )


def mend_temporaries(checkup: Checkup) -> None:
    """Delete them."""
    for path in leftover_files(checkup.store.directory):
        path.unlink(missing_ok=True)


def leftover_files(library: Path) -> list[Path]:
    """Temporary files in a library that no living process is writing."""
    places = (library / VECTORS_NAME).glob("*.tmp"), (library / THUMBNAILS_NAME).glob("*/*.tmp")
    return sorted(path for place in places for path in place if _is_left(path))


def _is_left(path: Path) -> bool:
    owner = atomic.temporary_owner(path)
    if owner is None:
        return False  # not ours
    try:
        age_s = time.time() - path.stat().st_mtime
    except OSError:
        return False  # gone meanwhile
    return age_s > _SURELY_LEFT_S or not _may_be_alive(owner)


def _may_be_alive(process_id: int) -> bool:
    if sys.platform == "win32":
        return True  # asking there ends the process
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True
