"""What the terminal can draw, and how large its cells are; asked only where that can do no harm."""

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
"""The room for a preview, in cells."""

_CELL = (10, 20)
"""Pixels of a cell where the terminal does not tell; a usual size."""

_ANSWER_S = 0.5
"""How long the terminal has to say what it is; nearly every one answers at once."""

_SIXEL = "4"
"""The attribute of terminals that draw sixels. Source: DEC VT3xx Programmer Reference, volume 1, DA1."""

_MUTE = frozenset({"", "dumb", "linux", "unknown", "eterm-color"})
"""Values of ``TERM`` of what draws no pictures and is not asked."""


@dataclass(frozen=True)
class Terminal:
    """A terminal that draws pictures: how, into which room, and its width in columns."""

    protocol: Protocol
    box: Box
    columns: int


def drawing_terminal(preview: str) -> Terminal | None:
    """The terminal on stdout, if it draws pictures.

    Args:
        preview: ``auto``, ``none``, or the protocol that is to be used, whatever the terminal is.
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
    """How the terminal draws pictures, by what it says of itself in the environment; else it is asked for sixel.

    Inside tmux and screen, the variables are those of the terminal around it, which gets nothing but sixel through.

    Args:
        environment: variables.
        draws_sixel: asks the terminal; `terminal_draws_sixel` by default.
    """
    if environment.get("TERM", "") in _MUTE:
        return None
    if not environment.get("TMUX") and not environment.get("STY"):
        term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
        # other terminals started from kitty inherit its variable
        in_kitty = environment.get("KITTY_WINDOW_ID") and program in ("", "kitty")
        if in_kitty or term in ("xterm-kitty", "xterm-ghostty"):
            return "kitty"
        if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
            return "iterm2"
    return "sixel" if (draws_sixel or terminal_draws_sixel)() else None


def terminal_draws_sixel() -> bool:
    """Ask the terminal, if this process has it to itself; false where it cannot be asked."""
    try:
        import termios  # noqa: F401  # not on Windows
    except ImportError:
        return False
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        # a process in the background would be stopped for touching the terminal
        return os.tcgetpgrp(descriptor) == os.getpgrp() and ask_for_sixel(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def ask_for_sixel(descriptor: int, *, timeout_s: float = _ANSWER_S) -> bool:
    """Ask for the primary device attributes (DA1) and look for sixel among them.

    Nothing is asked when keys have been pressed already: the answer could not be told from them.

    Args:
        descriptor: of a terminal, open for reading and writing; left in the mode it was in.
        timeout_s: how long to wait for the answer, in seconds.
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
        answer, end = b"", time.monotonic() + timeout_s
        while (attributes := re.search(rb"\x1b\[\?([\d;]*)c", answer)) is None:
            if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            answer += os.read(descriptor, 64)
        return _SIXEL in attributes[1].decode("ascii").split(";")[1:]
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _cell_size() -> tuple[int, int]:
    """Width and height of a cell in pixels."""
    try:
        import fcntl
        import struct
        import termios

        answer = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, width, height = struct.unpack("HHHH", answer)
    except (ImportError, OSError, ValueError):
        return _CELL
    if not (rows and columns and width and height):
        return _CELL
    return max(1, width // columns), max(1, height // rows)
