"""Names from outside, made safe for a terminal."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.text import (
    display_lines,
    display_path,
    display_text,
    fold,
    format_bytes,
    format_count,
    format_seconds,
    shorten_paths,
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dänemark", "DA\u0308NEMARK"),
        ("Straße", "STRASSE"),
        ("ẞ", "ss"),
        ("İzmir", "izmir"),
        ("ISPARTA", "ısparta"),
        ("ΟΔΟΣ", "οδος"),
        ("ｃａｔ．ＪＰＧ", "cat.jpg"),
        ("ﾊﾟﾝ", "パン"),
        ("ﬁn", "FIN"),
        ("Mom’s", "mom's"),
        ("10.00\u202fPM", "10.00 pm"),
        ("soft\u00adhyphen\ufeff", "softhyphen"),
    ],
)
def test_what_people_call_the_same_has_one_form(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text())
def test_a_form_is_its_own_and_that_of_every_unicode_form(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold(unicodedata.normalize(form, text)) == fold(text)


def test_letters_with_a_short_way_have_the_form_of_the_long_one() -> None:
    for code in range(0x10000):
        letter = chr(code)
        assert fold(letter) == fold(f"{letter}\u0337").replace("\u0337", "") or unicodedata.combining(letter)


@pytest.mark.parametrize(
    ("before", "after"),
    [("skipping ", ": file name too long"), ("", " is offline"), ("9 of 10 pictures of ", " are gone; see --prune")],
)
def test_long_paths_in_notices_lose_their_middle(before: str, after: str) -> None:
    path = "/photos" + "/folder" * 600 + "/last.jpg"
    shown = shorten_paths(f"{before}{path}{after}")
    assert shown.startswith(f"{before}/photos/folder") and shown.endswith(f"/last.jpg{after}") and "…" in shown
    assert len(shown) == len(before) + 160 + len(after)
    short = f"{before}/photos/last.jpg{after}"
    assert shorten_paths(short) == short
