"""The tables of a new catalog."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection, insert

from clipsearch.catalog.schema import SCHEMA_VERSION
from clipsearch.catalog.tables import Base, CatalogState


def create_tables(connection: Connection) -> None:
    """Make the tables in an empty database."""
    Base.metadata.create_all(connection)
    state = {"id": 1, "revision": 0, "library_id": uuid4().hex, "schema_version": SCHEMA_VERSION}
    connection.execute(insert(CatalogState).values(state))
