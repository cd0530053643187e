"""The catalog for readers, which loads SQLAlchemy only when needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.fast_reads import FastReads
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.config import LibraryPlace
from clipsearch.media.segments import Segment
from clipsearch.media.stacks import StackFile

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clipsearch.catalog.catalog import Catalog
    from clipsearch.catalog.full_text import FullText
    from clipsearch.catalog.records import FoundFile, FrameEmbeddings, ModelRecord, RootPlace


class LazyCatalog:
    """`FastReads` for plain searches, and the full `Catalog` on demand. Thread-safe."""

    def __init__(self, place: LibraryPlace, *, create: bool = False) -> None:
        """Open or create a catalog; see `open_database`."""
        self.place = place
        self._lock = threading.Lock()
        self._store: Catalog | None = None
        self._quick = FastReads.open(place / CATALOG_NAME) if isinstance(place, Path) else None
        if self._quick is None:
            from clipsearch.catalog.catalog import Catalog

            self._store = Catalog(place, create=create)

    @property
    def directory(self) -> Path:
        """See `Catalog.directory`."""
        return self.place if isinstance(self.place, Path) else self.store.directory

    @property
    def store(self) -> Catalog:
        """The full catalog."""
        with self._lock:
            if self._store is None:
                from clipsearch.catalog.catalog import Catalog

                self._store = Catalog(self.place)
            return self._store

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            if self._quick is not None:
                self._quick.close()

    def active_model(self) -> ModelRecord | None:
        """See `clipsearch.catalog.models.ModelRepository.active`."""
        return self._quick.active_model() if self._quick is not None else self.store.models.active()

    def revision(self) -> int:
        """See `Catalog.revision`."""
        return (self._quick or self.store).revision()

    def files_of(
        self, embedding_ids: Sequence[int], condition: ColumnElement[bool] | None = None
    ) -> dict[int, list[FoundFile]]:
        """See `Catalog.files_of`."""
        if self._quick is not None and condition is None:
            return self._quick.files_of(embedding_ids)
        return self.store.files_of(embedding_ids, condition)

    def stack_files(self, model_id: int, keys: Sequence[tuple[int, str]]) -> dict[int, list[StackFile]]:
        """See `Catalog.stack_files`."""
        quick = self._quick
        return quick.stack_files(model_id, keys) if quick is not None else self.store.stack_files(model_id, keys)

    def parent_ids(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, Segment]]:
        """See `Catalog.parent_ids`."""
        return (self._quick or self.store).parent_ids(embedding_ids)

    @property
    def full_text(self) -> FullText:
        """See `Catalog.full_text`."""
        return (self._quick or self.store).full_text

    def frames_of(self, embedding_ids: Sequence[int], *, dim: int) -> dict[int, FrameEmbeddings]:
        """See `Catalog.frames_of`."""
        return (self._quick or self.store).frames_of(embedding_ids, dim=dim)

    def root_places(self) -> list[RootPlace]:
        """See `clipsearch.catalog.roots.RootRepository.places`."""
        return self._quick.root_places() if self._quick is not None else self.store.roots.places()
