"""Text from outside (file names, metadata, error messages) made safe to stand in Markdown."""

from __future__ import annotations

import re

from clipsearch.text import display_text

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~$^=&.:])")

_JOINED = re.compile(r":(?=[\w+-]+:|material/|//)|@(?=\w)|www(?=\.)|-(?=[->])|<(?=-)", re.IGNORECASE)
"""What is turned into icons, emoji, links and arrows after escapes are resolved, so that no escape helps."""

_WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    r"""Show a text as it is wherever Streamlit reads Markdown; control and direction characters become visible.

    >>> plain("*a*\n<b>")
    '\\*a\\*\\\\n\\<b\\>'
    """
    parted = _JOINED.sub(lambda match: match[0] + _WORD_JOINER, display_text(text))
    escaped = _MARKUP.sub(r"\\\1", parted)
    # indented by four it would be code; what looks like a numbered list is parted by the escaped dot
    return f"&nbsp;{escaped.lstrip(' ')}" if escaped.startswith("    ") else escaped
