"""Untrusted text (file names, metadata, error messages) escaped for Markdown."""

from __future__ import annotations

import re

from clipsearch.text import display_text

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~$^=&.:])")

_JOINED = re.compile(r":(?=[\w+-]+:|material/|//)|@(?=\w)|www(?=\.)|-(?=[->])|<(?=-)", re.IGNORECASE)
"""Becomes icons, emoji, links and arrows even if escaped."""

_WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    r"""Escape a text where Streamlit expects Markdown; control and direction characters become visible.

    >>> plain("*a*\n<b>")
    '\\*a\\*\\\\n\\<b\\>'
    """
    parted = _JOINED.sub(lambda match: match[0] + _WORD_JOINER, display_text(text))
    escaped = _MARKUP.sub(r"\\\1", parted)
    # four spaces would start a code block
    return f"&nbsp;{escaped.lstrip(' ')}" if escaped.startswith("    ") else escaped
