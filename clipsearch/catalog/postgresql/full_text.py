"""Full-text search in PostgreSQL: LIKE, by an index over trigrams where the server has the extension pg_trgm.

Source: postgresql.org/docs/current/pgtrgm.html, "Index Support".
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, exc

from clipsearch.catalog.full_text import TEXT_KINDS, FullText

logger = logging.getLogger(__name__)

_SCHEMA = """
    SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_trgm'
"""


def create_full_text(connection: Connection) -> None:
    """Create the index; without the extension, or the right to add it, there is none."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except exc.DBAPIError as error:
        logger.info("no trigram index, so text searches read all rows: %s", error)
        return
    schema = connection.exec_driver_sql(_SCHEMA).scalar_one()  # another library may have put it into its own
    columns = ", ".join(f"{kind} {schema}.gin_trgm_ops" for kind in TEXT_KINDS)
    connection.exec_driver_sql(f"CREATE INDEX ix_text_documents_trigrams ON text_documents USING gin ({columns})")


class PostgresqlFullText(FullText):
    """Full-text search in a PostgreSQL catalog."""

    placeholder = "%s"

    def _source(self, term: str) -> tuple[str, str, str, list[str]]:
        pattern = term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        condition = " OR ".join(f"d.{kind} LIKE %s" for kind in TEXT_KINDS)
        return "text_documents d", "d.id", f"({condition})", [f"%{pattern}%"] * len(TEXT_KINDS)
