"""What every database can say, each in words of its own."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Text, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from clipsearch.store.tables import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def lower(value: Any) -> ColumnElement[str]:
    """A text in lower case, as Python's `str.lower` has it, of whatever language; NULL for NULL."""
    lowered: ColumnElement[str] = _Lower(value)
    return lowered


def is_one_of(column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """The condition that a column's text is one of many: more than a statement may have parameters."""
    listed = _JsonTexts(json.dumps(list(values))).table_valued("value")
    found: ColumnElement[bool] = column.in_(select(listed.c.value))
    return found


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


class _JsonTexts(FunctionElement[str]):
    name = "texts"
    inherit_cache = True


@compiles(_Lower)
def _lower(element: _Lower, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(_Lower, "postgresql")
def _lower_by_unicode(element: _Lower, compiler: Any, **options: Any) -> str:
    # the database's own collation may know ASCII only; and what is lowered is compared byte by byte
    return f'(lower(({compiler.process(element.clauses, **options)}) COLLATE "und-x-icu") COLLATE "C")'


@compiles(_JsonTexts)
def _json_texts(element: _JsonTexts, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_JsonTexts, "postgresql")
def _json_texts_of_elements(element: _JsonTexts, compiler: Any, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS json))"
