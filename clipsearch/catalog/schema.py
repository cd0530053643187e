"""Which version of the catalog's schema this program knows; without SQLAlchemy, which a plain search never loads."""

from __future__ import annotations

SCHEMA_VERSION = 9
"""Of the tables in `clipsearch.catalog.tables`; a catalog of any other version is refused."""
