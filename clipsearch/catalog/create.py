"""The tables of a catalog: all at once in a new one, step by step in one that an older clipsearch wrote."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert

from clipsearch.catalog.schema import SCHEMA_HEAD
from clipsearch.catalog.tables import Base, CatalogState

_ALEMBIC_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic finds what the next migration starts from.

Source: Alembic 1.20, `ddl/impl.py`.
"""


def create_tables(connection: Connection) -> None:
    """Make in an empty SQLite file what all migrations make, without the quarter of a second that they take.

    A test holds both to the same tables. In PostgreSQL a migration sets collations that the tables do not know of.

    Source: Alembic, Cookbook, Building an Up to Date Database from Scratch.
    """
    Base.metadata.create_all(connection)
    connection.execute(insert(CatalogState).values(id=1, revision=0, library_id=uuid4().hex))
    _ALEMBIC_VERSION.create(connection)
    connection.execute(insert(_ALEMBIC_VERSION).values(version_num=SCHEMA_HEAD))


def migrate(connection: Connection) -> None:
    """Bring the tables up to date, from none at all if need be."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
