"""Every kind of file and name that is broken, or made to break whoever reads it; and what is to become of each."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import signal
import socket
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile_pictures import (
    DAMAGED,
    GIF,
    HEIC,
    INDEXED,
    JPEG,
    JPEGS,
    LINUX,
    NOT_A_PICTURE,
    OTHER_FORMATS,
    PASSED_OVER,
    PNG,
    PNGS,
    POSIX,
    UNREADABLE,
    Kind,
    part,
)

# --- something else, under a picture's name ---------------------------------------------------------------


def sparse(path: Path) -> None:
    """A file of a gibibyte and a byte that takes no space."""
    path.write_bytes(JPEG)
    os.truncate(path, 2**30 + 1)


def database(path: Path) -> None:
    """A real SQLite database."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (id)")
    connection.close()


def zipped() -> bytes:
    """A ZIP archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("inside.jpg", JPEG)
    return written.getvalue()


IMPOSTORS = [
    Kind("empty.jpg", b"", "^the file is empty$"),
    Kind("one-byte.jpg", b"\xff", NOT_A_PICTURE),
    Kind("text.jpg", b"this is no picture\n", NOT_A_PICTURE),
    Kind("error-page.jpg", b"<!DOCTYPE html><title>404 Not Found</title>", NOT_A_PICTURE),
    Kind("zeros.jpg", bytes(65536), NOT_A_PICTURE),
    Kind("random.jpg", random.Random(4).randbytes(65536), NOT_A_PICTURE),
    Kind("lfs-pointer.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", NOT_A_PICTURE),
    Kind("vector.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>', NOT_A_PICTURE),
    Kind("document.jpg", b"%PDF-1.7\n%%EOF\n", NOT_A_PICTURE),
    Kind("postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", NOT_A_PICTURE),
    Kind("program.jpg", b"\x7fELF\x02\x01\x01" + bytes(500), NOT_A_PICTURE),
    Kind("film.heic", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(500), UNREADABLE),
    Kind("archive.jpg", zipped(), NOT_A_PICTURE),
    Kind("gzip-bomb.png", gzip.compress(bytes(10_000_000)), NOT_A_PICTURE),
    Kind("database.jpg", database, NOT_A_PICTURE),
    Kind("gigantic.jpg", sparse, "^the file is larger than 1024 MiB$", POSIX),
    Kind("png-called.jpg", PNG, INDEXED),
    Kind("heic-called.jpg", HEIC, INDEXED),
    Kind("jpeg-called.heic", JPEG, INDEXED),
    Kind("jpeg-called.cr2", JPEG, INDEXED),
    Kind("SHOUTING.JPG", JPEG, INDEXED),
    Kind("shouting.jpg", PNG, INDEXED, LINUX),
    Kind("picture-and-archive.jpg", JPEG + zipped(), INDEXED),
    Kind("picture-and-script.gif", GIF + b";*/alert(1)", INDEXED),
    Kind("picture-and-page.png", PNG + b"<script>alert(1)</script>", INDEXED),
]

# --- names ------------------------------------------------------------------------------------------------

DEEP = "/".join(f"{number:03}" for number in range(150))

NAMES = [
    Kind(name, JPEG, INDEXED, possible)
    for name, possible in [
        ("line\nbreak.jpg", POSIX),
        ("carriage\rreturn.jpg", POSIX),
        ("\x1b[31mred\x1b[2J.jpg", POSIX),
        ("bell\x07tab\t.jpg", POSIX),
        ("delete\x7f\x9b31m.jpg", POSIX),
        (os.fsdecode(b"caf\xe9 \xff\xfe.jpg") if LINUX else "", LINUX),
        ("-rf.jpg", True),
        ("$(touch x);'`\".jpg", POSIX),
        ("back\\slash.jpg", POSIX),
        ("100% of _ and * [a]?.jpg", POSIX),
        ("gpj.\u202eexe.jpg", True),
        ("zero\u200bwidth\ufeff.jpg", True),
        ("caf\u00e9.jpg", LINUX),
        ("cafe\u0301.jpg", True),
        ("🏔️ 山 جبل.jpg", True),
        (" .jpg", True),
        ("trailing space .jpg", True),
        ("l" * 250 + ".jpg", POSIX),
        (f"{DEEP}/deep.jpg", POSIX),
        ("folder.jpg/inside.jpg", True),
        ("fol\nder/inside.jpg", POSIX),
        ("[link](javascript:1) [bold red]markup[/].jpg", POSIX),
    ]
]

BROKEN_NAMES = [
    Kind("broken\nline\x1b]0;title\x07.jpg", JPEG[:400], DAMAGED, POSIX),
    Kind(os.fsdecode(b"broken \xe9.jpg") if LINUX else "", JPEG[:400], DAMAGED, LINUX),
]

# --- not what a file system usually holds -----------------------------------------------------------------


def bound_socket(path: Path) -> None:
    """A socket; its path is bound from inside the folder, as socket paths are short."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(before)


def unreadable(path: Path) -> None:
    """A picture that may not be read; by root it may, all the same."""
    path.write_bytes(JPEG)
    path.chmod(0)


def link(target: str) -> Callable[[Path], None]:
    """Makes a symbolic link."""
    return lambda path: path.symlink_to(target)


ROOT = POSIX and os.geteuid() == 0

FILE_SYSTEM = [
    Kind("pipe.jpg", os.mkfifo, PASSED_OVER, POSIX),
    Kind("socket.jpg", bound_socket, PASSED_OVER, POSIX),
    Kind("device.jpg", link("/dev/zero"), PASSED_OVER, POSIX),
    Kind("terminal.jpg", link("/dev/tty"), PASSED_OVER, POSIX),
    Kind("link-to-itself.jpg", link("link-to-itself.jpg"), "^too many levels of symbolic links$", POSIX),
    Kind("link-to-nowhere.jpg", link("nowhere.jpg"), "^no such file or directory$", POSIX),
    Kind("link-to-a-pipe.jpg", link("pipe.jpg"), PASSED_OVER, POSIX),
    Kind("link-to-a-picture.jpg", link("png-called.jpg"), INDEXED, POSIX),
    Kind("loop/of/folders", link("../.."), PASSED_OVER, POSIX),
    Kind("read-error.jpg", link("/proc/self/mem"), "^input/output error$", LINUX),
    Kind("empty-in-proc.jpg", link("/proc/self/clear_refs"), "^(invalid argument|permission denied)$", LINUX),
    Kind("forbidden.jpg", unreadable, INDEXED if ROOT else "^permission denied$", POSIX),
    Kind("no-extension", JPEG, INDEXED),
    Kind(".hidden.jpg", JPEG, PASSED_OVER),
    Kind("._resource-fork.jpg", b"\0\5\x16\7" + bytes(100), PASSED_OVER),
    Kind("half-a-download.jpg.part", part(JPEG, 0.5), PASSED_OVER),
]

KINDS = [
    kind for kind in [*JPEGS, *PNGS, *OTHER_FORMATS, *IMPOSTORS, *NAMES, *BROKEN_NAMES, *FILE_SYSTEM] if kind.possible
]


@contextlib.contextmanager
def held_up(path: Path) -> Iterator[None]:
    """Make everybody who opens a file wait, as a network drive that hangs would."""
    import fcntl

    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel asks for the lease back
    descriptor = os.open(path, os.O_RDWR)
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            pytest.skip("this file system has no leases")
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)
