"""The stored exclusion patterns of the whole library and of single roots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from clipsearch.catalog.database import Repository
from clipsearch.catalog.tables import Exclusion, Root


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
