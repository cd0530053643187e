"""Names from outside, made safe for a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipsearch.text import (
    display_lines,
    display_path,
    display_text,
    format_bytes,
    format_count,
    format_seconds,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("two\nlines\r\t.jpg", r"two\nlines\r\t.jpg"),
        ("\x1b[31mred\x07.jpg", r"\x1b[31mred\x07.jpg"),
        ("\x9b31m", r"\x9b31m"),
        ("\x7f\0", r"\x7f\x00"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("a\u2066b\u2069\u200f\u061c", r"a\u2066b\u2069\u200f\u061c"),
        ("line\u2028separator", r"line\u2028separator"),
        ("\ud800lone", r"\ud800lone"),
        ("日本語 שלום é 👩‍👩‍👧.jpg", "日本語 שלום é 👩‍👩‍👧.jpg"),
        (r"C:\new\table.jpg", r"C:\new\table.jpg"),
    ],
)
def test_display_text(text: str, shown: str) -> None:
    assert display_text(text) == shown
    display_text(text).encode("utf-8")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode on Windows")
def test_a_name_that_is_not_utf8_shows_its_bytes() -> None:
    path = Path(os.fsdecode(b"/photos/caf\xe9.jpg"))
    assert display_path(path, base=Path("/elsewhere/deep/down")) == r"/photos/caf\xe9.jpg"


def test_lines_stay_lines() -> None:
    assert display_lines("a\nb\x1b\n") == "a\nb\\x1b\n"


def test_path_is_relative_where_that_is_shorter(tmp_path: Path) -> None:
    assert display_path(tmp_path / "a" / "b.jpg", base=tmp_path) == os.path.join("a", "b.jpg")  # noqa: PTH118
    far = tmp_path / "one" / "two" / "three" / "four"
    assert display_path(Path("/x.jpg").absolute(), base=far) == str(Path("/x.jpg").absolute())


def test_numbers_for_people() -> None:
    assert [format_bytes(n) for n in (0, 1023, 1024, 5 * 2**40)] == ["0 B", "1023 B", "1.0 KiB", "5.0 TiB"]
    assert [format_count(n, "file") for n in (0, 1, 2, 12345)] == ["0 files", "1 file", "2 files", "12,345 files"]
    assert [format_seconds(s) for s in (0.04, 59.94, 59.96, 3599, 3600)] == [
        "0.0 s",
        "59.9 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 h 0 min",
    ]
