"""Integrity check of a SQLite catalog."""

from __future__ import annotations

import re

from sqlalchemy import Connection, Engine, exc, text

from clipsearch.catalog.database import CatalogDamage, DanglingRow, Database
from clipsearch.catalog.sqlite.file import is_damage
from clipsearch.catalog.tables import Base
from clipsearch.errors import LibraryError

_MOST_PROBLEMS = 100
"""Maximum number of problems reported by the integrity check."""

_HARMLESS_PROBLEM = re.compile("index|is never used")
"""Problems that rebuilding the indexes and the file repairs; no table name matches."""


def find_damage(database: Database, engine: Engine) -> CatalogDamage:
    """Run SQLite's integrity check.

    Raises:
        LibraryError: the file cannot be read for other reasons than damage.
    """
    pages: list[str] = []
    indexes: list[str] = []
    try:
        with database.reading() as connection:
            rows = connection.execute(text("SELECT rootpage, type || ' ' || name AS owner FROM sqlite_master"))
            trees = {int(row.rootpage): str(row.owner) for row in rows}
            for problem in _problems(connection):
                owner = _owner(connection, problem, trees)
                of_index = owner.startswith("index ") or _HARMLESS_PROBLEM.search(problem)
                (indexes if of_index else pages).append(f"{problem} ({owner})" if owner else problem)
            if pages:
                return CatalogDamage(pages, indexes, [])
            violations = connection.exec_driver_sql("PRAGMA foreign_key_check")
            dangling = [DanglingRow(table, row_id, parent) for table, row_id, parent, _ in violations]
    except LibraryError as error:
        reason = str(error.__cause__.orig) if isinstance(error.__cause__, exc.DBAPIError) else str(error)
        if not is_damage(reason):
            raise
        # an aborted check names no tables
        unreadable = [f"{reason} (table {name})" for name in _unreadable_tables(engine)]
        if unreadable or pages:
            return CatalogDamage([*pages, *unreadable], indexes, [])
        return CatalogDamage([], [*indexes, f"{reason} (every table can be read)"], [])
    return CatalogDamage(pages, indexes, dangling)


def _unreadable_tables(engine: Engine) -> list[str]:
    """Tables that cannot be read completely without indexes."""
    names = []
    for table in Base.metadata.sorted_tables:
        try:
            with engine.connect() as connection:
                for _ in connection.exec_driver_sql(f"SELECT * FROM {table.name} NOT INDEXED"):
                    pass
        except exc.DatabaseError:
            names.append(table.name)
    return names


def _problems(connection: Connection) -> list[str]:
    lines = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_PROBLEMS})").scalars().all()
    problems = [problem.strip() for line in lines for problem in line.splitlines()]
    return [problem for problem in problems if problem not in ("", "ok", "*** in database main ***")]


def _owner(connection: Connection, problem: str, trees: dict[int, str]) -> str:
    """Description of the table or index of a damaged page; empty if unknown."""
    if tree := re.match(r"Tree (\d+)", problem):  # SQLite 3.42 and newer
        return trees.get(int(tree[1]), "")
    page = re.match(r"(?:On tree page|On page|Page) (\d+)", problem)
    if page is None:
        return ""
    try:  # not every SQLite is built with this table
        statement = text("SELECT name FROM dbstat WHERE pageno = :page")
        name = connection.execute(statement, {"page": int(page[1])}).scalar()
    except exc.DatabaseError:
        return ""
    return next((tree for tree in trees.values() if tree.endswith(f" {name}")), "")
