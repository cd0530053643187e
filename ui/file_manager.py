"""Opens a folder in the file manager of the system."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from clipsearch.errors import ConfigError


def open_folder(folder: Path) -> None:
    """Open a folder in the file manager of this machine, without waiting.

    Raises:
        ConfigError: `folder` is not a folder, or there is no file manager.
    """
    if not folder.is_dir():
        raise ConfigError(f"cannot open {folder}: it does not exist")
    program = _program()
    try:
        # no shell: folder names are untrusted
        started = subprocess.Popen(
            [program, str(folder.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"cannot open {folder}: no file manager ({program} did not start)") from error
    threading.Thread(target=started.wait, daemon=True).start()  # reap the process


def _program() -> str:
    return {"darwin": "open", "win32": "explorer"}.get(sys.platform, "xdg-open")
