"""SQL constructs with different syntax in SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, FromClause, Join, Text, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from clipsearch.catalog.tables import Base
from clipsearch.text import APOSTROPHES, INVISIBLE

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


FOLD = "unicode_fold"
"""Name of the SQLite function for `clipsearch.text.fold`."""


def folded(value: Any) -> ColumnElement[str]:
    """Folded text, as `clipsearch.text.fold`; NULL for NULL."""
    expression: ColumnElement[str] = _Folded(value)
    return expression


def is_one_of(column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """Whether a column is one of many texts, without the limit on parameters."""
    listed = _JsonTexts(json.dumps(list(values))).table_valued("value")
    condition: ColumnElement[bool] = column.in_(select(listed.c.value))
    return condition


def join_in_order(first: FromClause, second: FromClause, condition: ColumnElement[bool]) -> Join:
    """A join with `first` in the outer loop.

    SQLite chooses the order by the numbers of rows alone, which is several times slower with a selective condition on
    `first`.
    """
    return _JoinInOrder(first, second, condition)


def upsert(connection: Connection, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that takes ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    # imported here, because readers need neither and each imports all drivers of its database
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


class _Folded(FunctionElement[str]):
    type = Text()
    inherit_cache = True


class _JoinInOrder(Join):
    inherit_cache = True


class _JsonTexts(FunctionElement[str]):
    name = "texts"
    inherit_cache = True


@compiles(_Folded)
def _folded(element: _Folded, compiler: Any, **options: Any) -> str:
    # SQLite's own function is ten times faster, but supports only ASCII (as many bytes as characters)
    text = compiler.process(element.clauses, **options)
    return f"CASE WHEN length({text}) = length(CAST({text} AS BLOB)) THEN lower({text}) ELSE {FOLD}({text}) END"


@compiles(_Folded, "postgresql")
def _folded_by_unicode(element: _Folded, compiler: Any, **options: Any) -> str:
    # the default collation may support only ASCII; the result is compared bytewise
    text = f"normalize({compiler.process(element.clauses, **options)}, NFKC)"
    # a character without a replacement is deleted
    same = f"translate({text}, {_literal(APOSTROPHES + INVISIBLE)}, {_literal(chr(39) * len(APOSTROPHES))})"
    lowered = f'lower(upper(lower(({same}) COLLATE "und-x-icu")))'
    joined = f"replace(replace({lowered}, {_literal('ς')}, {_literal('σ')}), {_literal('i' + chr(0x307))}, 'i')"
    return f'(normalize({joined}, NFKC) COLLATE "C")'


def _literal(text: str) -> str:
    """PostgreSQL string literal in ASCII."""
    return "U&'" + "".join(f"\\{ord(character):04x}" for character in text) + "'"


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
