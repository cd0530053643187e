"""``clipsearch ui`` as a person starts it: in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Server:
    """``clipsearch ui`` in a process of its own.

    Attributes:
        url: its address, ending in a slash.
        folder: the library's directory.
        process: to be ended by whoever started it.
    """

    url: str
    folder: Path
    process: subprocess.Popen[str]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it as a service manager or Ctrl-C does; returns its exit status."""
        self.process.send_signal(how)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()


def start_ui(folder: Path | str, *options: str, cache: Path, log: Path) -> Server:
    """Start ``clipsearch ui`` over a library, there or not, and wait until it says its address."""
    environment = {**os.environ, "CLIPSEARCH_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "clipsearch", "--library", str(folder), "ui", "--no-browser", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    url = process.stdout.readline().split("?")[0].strip()
    if not url:
        process.stdout.close()
        pytest.fail(f"clipsearch ui ended with status {process.wait(timeout=30)}: {log.read_text()}")
    return Server(url, Path(folder), process)
