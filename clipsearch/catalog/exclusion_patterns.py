"""Exclusion patterns in gitignore's syntax: as they are typed, and moved to another folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from clipsearch.errors import ConfigError

_SPECIAL = re.compile(r"([\\*?\[\]!#])")


def exclusion_pattern(text: str, folder: Path | None = None) -> str:
    """A pattern as a person types it, in gitignore's syntax and in Unicode's composed form.

    Args:
        text: the pattern. In a line of its own a leading ``#`` begins a comment; here it is part of the name.
        folder: that the pattern is for. A path inside it, as a shell completes it, is taken from there.

    Raises:
        ConfigError: it is empty, or no pattern.
    """
    from pathspec import GitIgnoreSpec

    pattern = unicodedata.normalize("NFC", text).strip("\n\r")
    negated, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    if folder is not None and Path(body).is_absolute() and Path(body) != folder and Path(body).is_relative_to(folder):
        slash = "/" if body.endswith("/") else ""
        body = "/" + escape_pattern(Path(body).relative_to(folder).as_posix()) + slash
    if body.startswith("#"):
        body = "\\" + body
    if not body.strip(" /") or any(character in body for character in "\n\r\0"):
        raise ConfigError(f"{text!r} is not a pattern; exclude, for example, drafts/ or *.png")
    try:
        GitIgnoreSpec.from_lines([negated + body])
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a gitignore pattern: {error}") from error
    return negated + body


def anchored(pattern: str, prefix: str) -> str:
    """A pattern of a folder as one of a folder around it.

    >>> anchored("drafts/", "work"), anchored("!/a/*.png", "work")
    ('/work/**/drafts/', '!/work/a/*.png')

    Args:
        pattern: in gitignore's syntax.
        prefix: relative path from the outer folder to the inner one; empty for itself.
    """
    if not prefix:
        return pattern
    negated, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    # gitignore: a slash at the beginning or in the middle ties a pattern to its folder
    is_tied = "/" in body.rstrip("/")
    return f"{negated}/{escape_pattern(prefix)}/" + (body.lstrip("/") if is_tied else f"**/{body}")


def escape_pattern(path: str) -> str:
    """A relative path as a pattern that matches it alone."""
    escaped = _SPECIAL.sub(r"\\\1", unicodedata.normalize("NFC", path))
    return f"{escaped[:-1]}\\ " if escaped.endswith(" ") else escaped
