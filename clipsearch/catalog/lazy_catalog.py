"""One library's catalog as its readers see it: what a plain search reads at once, everything else when it is needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.fast_reads import QuickReads
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.media.segments import Segment

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clipsearch.catalog.catalog import Catalog
    from clipsearch.catalog.records import FoundFile, ModelRecord, RootPlace


class LazyCatalog:
    """Gives the catalog's `Catalog`, and spares a plain search loading it. Safe to use from several threads."""

    def __init__(self, place: LibraryPlace, *, create: bool = False) -> None:
        """Open (or create) the catalog of a directory or in a database; see `Catalog` for the errors."""
        self.place = place
        self._lock = threading.Lock()
        self._store: Catalog | None = None
        self._quick = QuickReads.open(place / CATALOG_NAME) if isinstance(place, Path) else None
        if self._quick is None:
            from clipsearch.catalog.catalog import Catalog

            self._store = Catalog(place, create=create)

    @property
    def directory(self) -> Path:
        """See `Catalog.directory`."""
        return self.place if isinstance(self.place, Path) else self.store.directory

    @property
    def store(self) -> Catalog:
        """All that can be read and written."""
        with self._lock:
            if self._store is None:
                from clipsearch.catalog.catalog import Catalog

                self._store = Catalog(self.place)
            return self._store

    def close(self) -> None:
        """Give back every connection."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            if self._quick is not None:
                self._quick.close()

    def active_model(self) -> ModelRecord | None:
        """The model that searches use; ``None`` before the first indexing."""
        return self._quick.active_model() if self._quick is not None else self.store.models.active()

    def revision(self) -> int:
        """See `Catalog.revision`."""
        return self._quick.revision() if self._quick is not None else self.store.revision()

    def files_of(
        self, embedding_ids: Sequence[int], condition: ColumnElement[bool] | None = None
    ) -> dict[int, list[FoundFile]]:
        """See `Catalog.files_of`."""
        if self._quick is not None and condition is None:
            return self._quick.files_of(embedding_ids)
        return self.store.files_of(embedding_ids, condition)

    def parent_ids(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, Segment]]:
        """See `Catalog.parent_ids`."""
        return (
            self._quick.parent_ids(embedding_ids) if self._quick is not None else self.store.parent_ids(embedding_ids)
        )

    def root_places(self) -> list[RootPlace]:
        """Every root by path."""
        return self._quick.root_places() if self._quick is not None else self.store.roots.places()
