"""Temporary files of processes that were killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from clipsearch.maintenance.check.findings import Checkup, Finding, finding
from clipsearch.media.thumbnails import THUMBNAILS_NAME
from clipsearch.system import atomic
from clipsearch.vectors.common import VECTORS_NAME

_MAX_AGE_S = 24 * 3600.0
"""Age at which a temporary file is abandoned even if its process id is in use again."""


def check_temporaries(checkup: Checkup) -> Iterator[Finding]:
    """Look for abandoned temporary files."""
    files = leftover_files(checkup.store.directory)
    if files:
        yield finding("temporary", len(files), files[0].name)


def repair_temporaries(checkup: Checkup) -> None:
    """Delete abandoned temporary files."""
    for path in leftover_files(checkup.store.directory):
        path.unlink(missing_ok=True)


def leftover_files(library: Path) -> list[Path]:
    """Temporary files in a library that no running process is writing."""
    files = chain((library / VECTORS_NAME).glob("*.tmp"), (library / THUMBNAILS_NAME).glob("*/*.tmp"))
    return sorted(path for path in files if _is_abandoned(path))


def _is_abandoned(path: Path) -> bool:
    owner = atomic.temporary_owner(path)
    if owner is None:
        return False  # foreign
    try:
        age_s = time.time() - path.stat().st_mtime
    except OSError:
        return False  # deleted meanwhile
    return age_s > _MAX_AGE_S or not _may_be_alive(owner)


def _may_be_alive(process_id: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end the process
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of another user
    return True
