"""A new catalog's tables: those of the migrations, of the models, and those that are made at once, are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

import clipsearch.catalog.migrations as migrations_package
from clipsearch.catalog.create import create_tables, migrate
from clipsearch.catalog.schema import SCHEMA_HEAD, SCHEMA_REVISIONS
from clipsearch.catalog.tables import Base
from clipsearch.config import LibraryPlace

WAYS = {"at once": create_tables, "step by step": migrate}


def made(path: Path, way: Callable[[Connection], None], look: Callable[[Connection], Any]) -> Any:
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            way(connection)
            return look(connection)
    finally:
        engine.dispose()


def tables(connection: Connection) -> dict[str, Any]:
    """What SQLite knows of every table, whatever the order of its columns and the names of its constraints."""

    def pragma(name: str, argument: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(f"PRAGMA {name}('{argument}')")]

    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
    return {
        name: {
            "columns": sorted(row[1:] for row in pragma("table_info", name)),
            "references": sorted(row[2:] for row in pragma("foreign_key_list", name)),
            "indexes": sorted(
                (origin, unique, index if origin == "c" else "", [column[2] for column in pragma("index_info", index)])
                for _, index, unique, origin, *_ in pragma("index_list", name)
            ),
            "words": [sql.count(word) for word in ("AUTOINCREMENT", "WITHOUT ROWID", "CHECK", "COLLATE", "DEFAULT")],
        }
        for name, sql in found
        if not name.startswith("sqlite_")
    }


def test_a_new_catalog_has_the_tables_that_the_migrations_make(tmp_path: Path) -> None:
    at_once, step_by_step = (made(tmp_path / name, way, tables) for name, way in WAYS.items())
    assert at_once.keys() == step_by_step.keys() > {"embeddings", "files", "alembic_version"}
    for name, table in step_by_step.items():
        assert at_once[name] == table, name
    assert at_once["embeddings"]["words"][0] == 1  # its ids are never used again


@pytest.mark.parametrize("way", WAYS)
def test_a_new_catalog_says_its_version_and_has_an_id_of_its_own(tmp_path: Path, way: str) -> None:
    def state(connection: Connection) -> tuple[Any, ...]:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).all()
        return version, connection.execute(
            text("SELECT id, revision, active_model_id, library_id FROM catalog_state")
        ).one()

    (version, first), (_, second) = (made(tmp_path / name, WAYS[way], state) for name in ("first", "second"))
    assert version == [(SCHEMA_HEAD,)]
    assert first[:3] == second[:3] == (1, 0, None)
    assert len(first[3]) == len(second[3]) == 32 and first[3] != second[3]


def test_the_migrations_make_exactly_the_tables_of_the_models(tmp_path: Path) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)

    assert made(tmp_path / "catalog", migrate, differences) == []


def test_a_library_has_exactly_the_tables_of_the_models(catalog_place: LibraryPlace) -> None:
    is_file = isinstance(catalog_place, Path)
    engine = create_engine(f"sqlite:///{catalog_place / 'catalog.sqlite3'}" if is_file else catalog_place.text)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


def test_the_known_schema_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations_package.__path__[0])))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == SCHEMA_HEAD
    assert {script.revision for script in scripts.walk_revisions()} == SCHEMA_REVISIONS
