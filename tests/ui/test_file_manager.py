"""The file manager is started with the folder as an argument, whatever its name."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from clipsearch.errors import ConfigError
from ui.file_manager import open_folder


@pytest.mark.skipif(sys.platform != "linux", reason="a stand-in for xdg-open")
def test_the_folder_is_one_argument_and_no_shell_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "$(touch x); 'a' \"b\"\n--help"
    folder.mkdir()
    record = tmp_path / "record"
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$#" "$1" > "{record}.new"\nmv "{record}.new" "{record}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    open_folder(folder)
    give_up = time.monotonic() + 30
    while not record.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    assert record.read_text() == f"1|{folder}|"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it does not exist"):
        open_folder(tmp_path / "gone")


@pytest.mark.skipif(sys.platform == "win32", reason="explorer is found without PATH")
def test_a_machine_without_a_file_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no file manager"):
        open_folder(tmp_path)
