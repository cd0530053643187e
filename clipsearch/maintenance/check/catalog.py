"""Check the catalog's database: pages, indexes and foreign keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clipsearch.catalog.maintenance import is_replaceable
from clipsearch.errors import LibraryError
from clipsearch.maintenance.check.findings import Checkup, Finding, finding


def check_catalog(checkup: Checkup) -> Iterator[Finding]:
    """Run the database's integrity checks."""
    damage = checkup.store.upkeep.damage()
    store = checkup.store.name
    if damage.pages:
        yield finding("catalog-pages", len(damage.pages), damage.pages[0], store=store)
    if damage.indexes:
        indexes = finding("catalog-indexes", len(damage.indexes), damage.indexes[0], store=store)
        # an index rebuilt from a damaged table would lack rows
        yield replace(indexes, repairable=not damage.pages)
    for replaceable, code in ((True, "catalog-dangling"), (False, "catalog-dangling-lost")):
        rows = [row for row in damage.dangling if is_replaceable(row.table, row.parent) == replaceable]
        if rows:
            example = f"row {rows[0].row_id} of {rows[0].table}, referenced row of {rows[0].parent} missing"
            yield finding(code, len(rows), example, store=store)


def repair_catalog(checkup: Checkup) -> None:
    """Rebuild the indexes, and delete dangling rows that indexing replaces."""
    upkeep = checkup.store.upkeep
    damage = upkeep.damage()
    if damage.pages:
        return
    if damage.indexes:
        try:
            upkeep.rebuild_indexes()
            upkeep.pack()  # only this removes unused pages
        except LibraryError as error:  # an index too damaged to be rebuilt
            checkup.notify(str(error))
            return
        damage = upkeep.damage()
    upkeep.delete_dangling(damage)
