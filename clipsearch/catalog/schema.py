"""Which versions of the catalog's schema this program knows; without SQLAlchemy, which a plain search never loads."""

from __future__ import annotations

SCHEMA_HEAD = "0007"
"""The newest migration; a test holds it to the files in `migrations/versions`."""

SCHEMA_REVISIONS = frozenset({"0001", "0002", "0003", "0004", "0005", "0006", "0007"})
"""Every schema version that this program can open, by upgrading it where it is older."""
