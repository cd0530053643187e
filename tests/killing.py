"""Ends a process with SIGKILL at a call, for tests of what a kill leaves behind."""

from __future__ import annotations

import os
import signal
from typing import Any


def kill_at(owner: Any, name: str, nth: int, *, after: bool) -> None:
    """This process is killed at the `nth` call of a function of a module or a class: before it, or after it."""
    original, calls = getattr(owner, name), 0

    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)
