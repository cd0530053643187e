"""Full-text search with SQLite's FTS5, over trigrams, so that parts of words and words of any script are found.

Source: sqlite.org/fts5.html, "The Trigram Tokenizer" and "External Content Tables".
"""

from __future__ import annotations

from clipsearch.catalog.full_text import TEXT_KINDS, FullText

_SHORTEST = 3
"""Characters of a term that the index can find; for shorter ones all documents are read."""

_COLUMNS = ", ".join(TEXT_KINDS)
_NEW = ", ".join(f"new.{kind}" for kind in TEXT_KINDS)
_OLD = ", ".join(f"old.{kind}" for kind in TEXT_KINDS)
_INSERT = f"INSERT INTO text_index(rowid, {_COLUMNS}) VALUES (new.id, {_NEW});"
_DELETE = f"INSERT INTO text_index(text_index, rowid, {_COLUMNS}) VALUES ('delete', old.id, {_OLD});"

CREATE_FULL_TEXT = (
    f"CREATE VIRTUAL TABLE text_index USING fts5({_COLUMNS}, "
    "content='text_documents', content_rowid='id', tokenize='trigram')",
    f"CREATE TRIGGER text_documents_inserted AFTER INSERT ON text_documents BEGIN {_INSERT} END",
    f"CREATE TRIGGER text_documents_deleted AFTER DELETE ON text_documents BEGIN {_DELETE} END",
    f"CREATE TRIGGER text_documents_updated AFTER UPDATE ON text_documents BEGIN {_DELETE} {_INSERT} END",
)
"""Statements that create the index of an empty catalog."""

REBUILD_FULL_TEXT = "INSERT INTO text_index(text_index) VALUES ('rebuild')"
COMPACT_FULL_TEXT = "INSERT INTO text_index(text_index) VALUES ('optimize')"


class SqliteFullText(FullText):
    """Full-text search in a SQLite catalog."""

    placeholder = "?"
    join = "CROSS JOIN"  # keeps the order: few contents have a term, and all have embeddings

    def _source(self, term: str) -> tuple[str, str, str, list[str]]:
        if len(term) < _SHORTEST:
            condition = " OR ".join(f"instr(d.{kind}, ?) > 0" for kind in TEXT_KINDS)
            return "text_documents d", "d.id", f"({condition})", [term] * len(TEXT_KINDS)
        quoted = term.replace('"', '""')
        return "text_index", "rowid", "text_index MATCH ?", [f'"{quoted}"']
