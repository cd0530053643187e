"""The catalog's own file: its pages, its indexes, and rows that name each other."""

from __future__ import annotations

from collections.abc import Iterator

from clipsearch.catalog.maintenance import is_replaceable
from clipsearch.errors import LibraryError
from clipsearch.maintenance.check.findings import Checkup, Finding


def check_catalog(checkup: Checkup) -> Iterator[Finding]:
    """Have the database look for damage."""
    damage = checkup.store.upkeep.damage()
    if damage.pages:
        yield Finding(
            "catalog-pages",
            len(damage.pages),
            "damaged place",
            "in the catalog's tables",
            damage.pages[0],
            f"restore {checkup.store.name} from a backup, or delete it and index again",
            is_damage=True,
            repairable=False,
        )
    if damage.indexes:
        yield Finding(
            "catalog-indexes",
            len(damage.indexes),
            "damaged place",
            "in the catalog's indexes",
            damage.indexes[0],
            "repairing makes the indexes again from their tables; where that fails, restore "
            f"{checkup.store.name} from a backup, or delete it and index again",
            is_damage=True,
            # an index made from a damaged table would lack rows
            repairable=not damage.pages,
        )
    for replaceable in (True, False):
        rows = [row for row in damage.dangling if is_replaceable(row.table, row.parent) == replaceable]
        if rows:
            yield Finding(
                "catalog-dangling" if replaceable else "catalog-dangling-lost",
                len(rows),
                "row",
                "of the catalog naming another one that is not there",
                f"row {rows[0].row_id} of {rows[0].table}, for lack of one of {rows[0].parent}",
                "repairing deletes them; the next run of clipsearch index makes them again"
                if replaceable
                else f"restore {checkup.store.name} from a backup, or delete it and index again",
                is_damage=True,
                repairable=replaceable,
            )


def mend_catalog(checkup: Checkup) -> None:
    """Make the indexes again, and delete dangling rows that indexing replaces."""
    upkeep = checkup.store.upkeep
    damage = upkeep.damage()
    if damage.pages:
        return
    if damage.indexes:
        try:
            upkeep.rebuild_indexes()
            upkeep.pack()  # pages that nothing uses go only so
        except LibraryError as error:  # an index too damaged to be emptied
            checkup.notify(str(error))
            return
        damage = upkeep.damage()
    upkeep.delete_dangling(damage)
