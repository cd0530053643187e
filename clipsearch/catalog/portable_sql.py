"""What every database can say, each in words of its own."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, FromClause, Join, Text, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from clipsearch.catalog.tables import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


LOWER = "unicode_lower"
"""A function that SQLite connections are given: `str.lower`."""


def lower(value: Any) -> ColumnElement[str]:
    """A text in lower case, as Python's `str.lower` has it, of whatever language; NULL for NULL."""
    lowered: ColumnElement[str] = _Lower(value)
    return lowered


def is_one_of(column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """The condition that a column's text is one of many: more than a statement may have parameters."""
    listed = _JsonTexts(json.dumps(list(values))).table_valued("value")
    found: ColumnElement[bool] = column.in_(select(listed.c.value))
    return found


def join_in_order(first: FromClause, second: FromClause, condition: ColumnElement[bool]) -> Join:
    """A join whose rows of `first` are gone through first, which SQLite would decide by the number of rows alone.

    Where most rows of `first` fail a condition that it knows nothing about, that is several times as slow.
    """
    return _JoinInOrder(first, second, condition)


def upsert(connection: Connection, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that takes ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    # imported here: what only reads needs neither, and each brings all drivers of its database
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


class _Lower(FunctionElement[str]):
    type = Text()
    inherit_cache = True


class _JoinInOrder(Join):
    inherit_cache = True


class _JsonTexts(FunctionElement[str]):
    name = "texts"
    inherit_cache = True


@compiles(_Lower)
def _lower(element: _Lower, compiler: Any, **options: Any) -> str:
    # SQLite's own function is ten times as fast, and knows ASCII only: text with as many bytes as characters
    text = compiler.process(element.clauses, **options)
    return f"CASE WHEN length({text}) = length(CAST({text} AS BLOB)) THEN lower({text}) ELSE {LOWER}({text}) END"


@compiles(_Lower, "postgresql")
def _lower_by_unicode(element: _Lower, compiler: Any, **options: Any) -> str:
    # the database's own collation may know ASCII only; and what is lowered is compared byte by byte
    return f'(lower(({compiler.process(element.clauses, **options)}) COLLATE "und-x-icu") COLLATE "C")'


@compiles(_JoinInOrder, "sqlite")
def _join_in_order(element: _JoinInOrder, compiler: Any, *, asfrom: bool = False, **options: Any) -> str:
    # source: sqlite.org/optoverview.html, "Manual Control Of Query Plans Using CROSS JOIN"
    left, right = (compiler.process(side, asfrom=True, **options) for side in (element.left, element.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(element.onclause, **options)}"


@compiles(_JsonTexts)
def _json_texts(element: _JsonTexts, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_JsonTexts, "postgresql")
def _json_texts_of_elements(element: _JsonTexts, compiler: Any, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS json))"
