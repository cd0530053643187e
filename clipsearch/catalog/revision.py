"""The catalog's revision: what tells a cache of the catalog that it is behind."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from clipsearch.catalog.tables import CatalogState


def current_revision(connection: Connection) -> int:
    """The revision that a transaction sees."""
    return connection.execute(select(CatalogState.revision)).scalar_one()


def raise_revision(connection: Connection) -> None:
    """Raise it by one; in every transaction that can change which embeddings have files, or where those are."""
    connection.execute(update(CatalogState).values(revision=CatalogState.revision + 1))
