"""Exclusion patterns in gitignore's syntax, for the whole library and for single roots."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from clipsearch.catalog.database import Repository
from clipsearch.catalog.tables import Exclusion, Root
from clipsearch.errors import ConfigError

_SPECIAL = re.compile(r"([\\*?\[\]!#])")


class ExclusionRepository(Repository):
    """The exclusion patterns of a catalog; `Catalog.exclusions`."""

    def of_library(self) -> tuple[str, ...]:
        """The patterns of the library, in order."""
        with self._database.reading() as connection:
            return read_exclusions(connection).get(None, ())

    def add(self, patterns: Iterable[str], root_id: int | None) -> None:
        """Add patterns to a root, or to the library; existing ones move to the end, where they take precedence."""
        patterns = list(dict.fromkeys(patterns))
        if patterns:
            with self._database.writing() as connection:
                remove_exclusions(connection, patterns, root_id)
                add_exclusions(connection, patterns, root_id)

    def remove(self, patterns: Sequence[str], root_id: int | None) -> None:
        """Remove patterns of a root, or of the library."""
        with self._database.writing() as connection:
            remove_exclusions(connection, patterns, root_id)

    def use_defaults(self, wanted: bool, root_id: int) -> None:
        """Switch the list of other programs' private folders on or off for a root."""
        with self._database.writing() as connection:
            connection.execute(update(Root).where(Root.id == root_id).values(default_exclusions=wanted))


def read_exclusions(connection: Connection) -> dict[int | None, tuple[str, ...]]:
    """All patterns in their order, by the id of their root; ``None`` for the library's."""
    patterns_by_root: dict[int | None, tuple[str, ...]] = {}
    for root_id, pattern in connection.execute(select(Exclusion.root_id, Exclusion.pattern).order_by(Exclusion.id)):
        patterns_by_root[root_id] = (*patterns_by_root.get(root_id, ()), pattern)
    return patterns_by_root


def add_exclusions(connection: Connection, patterns: Iterable[str], root_id: int | None) -> None:
    """Append patterns to those of a root, or of the library."""
    rows = [{"root_id": root_id, "pattern": pattern} for pattern in patterns]
    if rows:
        connection.execute(insert(Exclusion), rows)


def remove_exclusions(connection: Connection, patterns: Sequence[str], root_id: int | None) -> None:
    """Delete patterns of a root, or of the library."""
    connection.execute(delete(Exclusion).where(Exclusion.root_id == root_id, Exclusion.pattern.in_(patterns)))


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
