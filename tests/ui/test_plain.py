"""Text from outside in Markdown: what a person sees is what was there."""

from __future__ import annotations

import re

import pytest

from ui.plain import plain


def _as_read(markdown: str) -> str:
    """What a Markdown reader makes of escaped text."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace("\u2060", "").replace("&nbsp;", "")


@pytest.mark.parametrize(
    "name",
    [
        "holiday.jpg",
        "<script>alert(1)</script>.jpg",
        "**bold** _it_ [link](http://example.com) `code` ![](x)",
        "# heading",
        "1. first",
        "- item",
        "a | b",
        "$x^2$",
        "C:\\Photos\\a_b.jpg",
        ":material/home: :cat: :red[x]",
        "&lt;b&gt; &amp;",
        "www.example.com me@example.com https://example.com",
        "a -- b -> c <- d",
    ],
)
def test_nothing_is_lost_and_nothing_is_markup(name: str) -> None:
    written = plain(name)
    assert _as_read(written) == name
    # every character that could begin markup has a backslash before it, and is not one that was escaped itself
    assert not re.findall(r"(?<!\\)(?:\\\\)*[*_`<>\[\]#|$~]", written)


@pytest.mark.parametrize("shortcode", [":cat:", ":material/home:", ":+1:", "a:smile:b", ":cat:dog:"])
def test_icons_and_emoji_are_parted(shortcode: str) -> None:
    assert not re.search(r":[\w+-]+:|:material/", _as_read_with_joiners(plain(shortcode)))


@pytest.mark.parametrize("line", ["folder:Crete date:2021..", "IMG_0001.jpg", "10:30 at home"])
def test_what_needs_no_parting_can_be_copied(line: str) -> None:
    assert "\u2060" not in plain(line)


def _as_read_with_joiners(markdown: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb", "a\\nb"), ("\u202egpj.exe", "\\u202egpj.exe"), ("a\x1b[31m", "a\\x1b[31m")]
)
def test_control_and_direction_characters_are_seen(name: str, shown: str) -> None:
    assert _as_read(plain(name)) == shown


def test_indented_text_is_no_code() -> None:
    assert not plain("      x").startswith("    ")
