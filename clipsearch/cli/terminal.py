"""The graphics protocol and the cell size of the terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clipsearch.cli.terminal_images import PROTOCOLS, Box, Protocol

PREVIEW_ROWS = 6
PREVIEW_COLUMNS = 18
"""The size of a preview in cells."""

_CELL = (10, 20)
"""Pixels of a cell on terminals that do not report them."""

_REPLY_S = 0.5
"""Timeout for the reply of the terminal; most reply at once."""

_SIXEL = "4"
"""The attribute of terminals that draw sixels. Source: DEC VT3xx Programmer Reference, volume 1, DA1."""

_WITHOUT_GRAPHICS = frozenset({"", "dumb", "linux", "unknown", "eterm-color"})
"""Values of ``TERM`` of terminals that are not queried."""


@dataclass(frozen=True)
class Terminal:
    """A terminal that can draw pictures: protocol, preview size, and width in columns."""

    protocol: Protocol
    box: Box
    columns: int


def drawing_terminal(preview: str) -> Terminal | None:
    """The terminal on stdout, if it can draw pictures.

    Args:
        preview: ``auto``, ``none``, or a protocol to use on any terminal.
    """
    if preview == "none" or not sys.stdout.isatty():
        return None
    size = shutil.get_terminal_size()
    if size.lines < PREVIEW_ROWS + 2:
        return None
    protocol = preview if preview in PROTOCOLS else detect_protocol(os.environ)
    if protocol is None:
        return None
    width, height = _cell_size()
    return Terminal(protocol, Box(PREVIEW_COLUMNS, PREVIEW_ROWS, width, height), size.columns)


def detect_protocol(
    environment: Mapping[str, str], *, draws_sixel: Callable[[], bool] | None = None
) -> Protocol | None:
    """The graphics protocol by environment variables; without them the terminal is queried for sixel.

    In tmux and screen the variables describe the outer terminal, to which only sixel is passed through.

    Args:
        environment: the variables.
        draws_sixel: queries the terminal; `terminal_draws_sixel` by default.
    """
    if environment.get("TERM", "") in _WITHOUT_GRAPHICS:
        return None
    if not environment.get("TMUX") and not environment.get("STY"):
        term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
        # terminals started from kitty inherit its variable
        in_kitty = environment.get("KITTY_WINDOW_ID") and program in ("", "kitty")
        if in_kitty or term in ("xterm-kitty", "xterm-ghostty"):
            return "kitty"
        if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
            return "iterm2"
    return "sixel" if (draws_sixel or terminal_draws_sixel)() else None


def terminal_draws_sixel() -> bool:
    """Query the terminal for sixel; False for a background process or without a terminal."""
    try:
        import termios  # noqa: F401  # not on Windows
    except ImportError:
        return False
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        # the system stops a background process that uses the terminal
        return os.tcgetpgrp(descriptor) == os.getpgrp() and ask_for_sixel(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def ask_for_sixel(descriptor: int, *, timeout_s: float = _REPLY_S) -> bool:
    """Whether the primary device attributes (DA1) include sixel.

    False if there is typed input already, which could not be distinguished from the reply.

    Args:
        descriptor: of a terminal, open for reading and writing; its mode is restored.
        timeout_s: seconds to wait for the reply.
    """
    import select
    import termios

    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~(termios.ICANON | termios.ECHO)
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
        if select.select([descriptor], [], [], 0)[0]:
            return False
        os.write(descriptor, b"\x1b[c")
        reply, end = b"", time.monotonic() + timeout_s
        while (attributes := re.search(rb"\x1b\[\?([\d;]*)c", reply)) is None:
            if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            reply += os.read(descriptor, 64)
        return _SIXEL in attributes[1].decode("ascii").split(";")[1:]
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _cell_size() -> tuple[int, int]:
    """Width and height of a cell in pixels."""
    try:
        import fcntl
        import struct
        import termios

        reply = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, width, height = struct.unpack("HHHH", reply)
    except (ImportError, OSError, ValueError):
        return _CELL
    if not (rows and columns and width and height):
        return _CELL
    return max(1, width // columns), max(1, height // rows)
