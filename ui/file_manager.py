"""The system's file manager, opened at a folder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from clipsearch.errors import ConfigError


def open_folder(folder: Path) -> None:
    """Show a folder in the file manager of the machine that this runs on, without waiting for it.

    Raises:
        ConfigError: it is no folder, or there is no file manager.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} cannot be opened: it is not there")
    program = _program()
    try:
        # an argument of its own, never a shell: names of folders are anybody's
        started = subprocess.Popen(
            [program, str(folder.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"there is no file manager to open {folder} with ({program} did not start)") from error
    threading.Thread(target=started.wait, daemon=True).start()  # or it would stay, ended, in the system's list


def _program() -> str:
    return {"darwin": "open", "win32": "explorer"}.get(sys.platform, "xdg-open")
