"""Threads of a server share the C library's heaps: read from the C library itself, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipsearch.system.malloc import ARENAS, use_few_arenas

_COUNT = """
import ctypes, sys, threading
from clipsearch.system.malloc import use_few_arenas
if sys.argv[1] == "few":
    print(use_few_arenas())
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
meet = threading.Barrier(12)
def allocate():
    meet.wait()
    libc.malloc(1000)
    meet.wait()
threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
"""


def _arenas(tmp_path: Path, how: str) -> tuple[str, int]:
    """What was said of it, and how many arenas twelve threads then use that allocate."""
    found = tmp_path / "found.xml"
    process = subprocess.run(
        [sys.executable, "-c", _COUNT, how, str(found)],
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.strip(), found.read_text().count("<heap nr=")


@pytest.mark.skipif(not hasattr(os, "confstr"), reason="the GNU C library is not on Windows")
def test_threads_share_a_few_arenas(tmp_path: Path) -> None:
    if "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        pytest.skip("another C library, which has no arenas")
    assert _arenas(tmp_path, "none")[1] > ARENAS
    assert _arenas(tmp_path, "few") == ("True", ARENAS)


def test_what_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "5")
    assert not use_few_arenas()
