"""What keeps a library in order: roots, saved searches, forgetting, checking, compacting, exporting, duplicates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch import standing
from clipsearch.errors import ConfigError, QueryError
from clipsearch.reports import FileFailure, LibraryStatus, RootStatus, SpaceStatus
from clipsearch.store.catalog import Catalog
from clipsearch.store.records import CatalogCounts, ModelRecord, RootRecord
from clipsearch.volumes import is_online, place_of

if TYPE_CHECKING:
    from clipsearch.checkup import CheckReport
    from clipsearch.compaction import CompactionReport
    from clipsearch.duplicates import DuplicateGroup, DuplicateKind
    from clipsearch.store.image_store import ImageStore
    from clipsearch.store.saved import SavedSearchRecord
    from clipsearch.transfer import ExportReport, ImportReport
    from clipsearch.vectors.moving import IndexCopyReport


class Housekeeping:
    """The part of `clipsearch.library.Library` that needs no model."""

    def __init__(self, catalog: Catalog, notify: Callable[[str], None]) -> None:
        """Bind the catalog, and who is told what a person should know."""
        self._catalog = catalog
        self._notify = notify

    @property
    def path(self) -> Path:
        """The library's directory; of one in a database, where this machine keeps what is computed from it."""
        return self._catalog.directory

    @property
    def _store(self) -> ImageStore:
        return self._catalog.store

    def failures(self) -> list[FileFailure]:
        """The files that could not be read, with reason and time, by path."""
        return self._store.failures()

    def status(self) -> LibraryStatus:
        """What the library holds."""
        from clipsearch.compaction import library_bytes

        model, counts = self._store.models.active(), self._store.counts()
        interrupted = self._store.jobs.interrupted("index")
        return LibraryStatus(
            path=self.path,
            model=model.spec if model else None,
            precision=model.precision if model else None,
            dim=model.dim if model else None,
            files=counts.files,
            images=counts.images,
            failures=counts.failures,
            bytes_on_disk=library_bytes(self.path),
            interrupted=interrupted.started_at if interrupted else None,
            roots=self.roots(),
            spaces=[
                SpaceStatus(space.model.spec, space.embedded, space.from_preview, space.missing, space.active)
                for space in self._store.models.spaces()
            ],
            database=self._store.name if self._store.shared else None,
        )

    def counts(self) -> CatalogCounts:
        """How many files, distinct pictures and unreadable files it holds, without a look at the disk."""
        return self._store.counts()

    def active_model(self) -> ModelRecord | None:
        """The model that searches use; ``None`` before the first indexing."""
        return self._catalog.active_model()

    # --- roots ----------------------------------------------------------------------------------

    def roots(self) -> list[RootStatus]:
        """The indexed folders, and whether their drives are there now, by path."""
        return [RootStatus(root.path, root.files, is_online(root)) for root in self._store.roots.all()]

    def move_root(self, old: Path | str, new: Path | str) -> RootStatus:
        """Say that an indexed folder is elsewhere now, or that its drive was replaced; no picture is read.

        Raises:
            ConfigError: `old` is no root, `new` is no folder, or it is in another root.
            LibraryLockedError: another process is writing to this library.
        """
        root = self._root_at(old)
        path = Path(new).expanduser().resolve()
        if not path.is_dir():
            raise ConfigError(f"there is no folder {path}; plug its drive in first")
        for other in self._store.roots.all():
            if other.id != root.id and (path.is_relative_to(other.path) or other.path.is_relative_to(path)):
                raise ConfigError(f"{path} overlaps the indexed folder {other.path}")
        where = place_of(path)
        with self._store.writer_lock():
            self._store.roots.move(root.id, path, volume_id=where.volume_id, volume_path=where.volume_path)
        return RootStatus(path, root.files, online=True)

    def remove_root(self, path: Path | str) -> int:
        """Forget an indexed folder; its files on disk are not touched. Returns how many files it held.

        Raises:
            ConfigError: it is no root.
            LibraryLockedError: another process is writing to this library.
        """
        root = self._root_at(path)
        with self._store.writer_lock():
            return self._store.roots.remove(root.id)

    # --- saved searches -------------------------------------------------------------------------

    def save_search(self, name: str, query: str, *, replace: bool = False) -> SavedSearchRecord:
        """Keep a query by name; its new results are those of pictures that are embedded from now on.

        Args:
            name: 1 to 100 characters.
            query: a line as for `search`; the paths of its pictures are kept in full.
            replace: take the place of a search of the same name.

        Raises:
            QueryError: the query is empty or wrong.
            ConfigError: the name is taken or cannot be one.
        """
        return standing.save_search(self._store, name, query, replace=replace)

    def saved_searches(self) -> list[SavedSearchRecord]:
        """The saved searches, by name."""
        return self._store.saved.all()

    def saved_search(self, name: str) -> SavedSearchRecord:
        """The saved search of that name.

        Raises:
            ConfigError: there is none.
        """
        return standing.find(self._store, name)

    def remove_saved_search(self, name: str) -> SavedSearchRecord:
        """Forget the saved search of that name.

        Raises:
            ConfigError: there is none.
        """
        return standing.remove(self._store, name)

    # --- housekeeping ---------------------------------------------------------------------------

    def remove(self, *paths: Path | str) -> int:
        """Forget files and folders, there or not; on disk nothing is touched. Returns how many files those were.

        Raises:
            ConfigError: the library knows nothing of one of them; then none is forgotten.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.removal import forget_paths

        return forget_paths(self._store, [Path(path).expanduser() for path in paths])

    def check(self, *, repair: bool = False, full: bool = False) -> CheckReport:
        """Verify catalog, vector cache and previews against each other.

        Args:
            repair: mend what can be mended, and say what is left.
            full: look into every embedding and preview, not into a sample.

        Raises:
            LibraryLockedError: it is to be repaired, and another process is writing to it.
        """
        from clipsearch.checkup import check_library, repair_library
        from clipsearch.checkup.findings import DEFAULT_SAMPLE

        run = repair_library if repair else check_library
        return run(self._store, sample=None if full else DEFAULT_SAMPLE, notify=self._notify)

    def compact(self) -> CompactionReport:
        """Drop what no file holds any more, and give its room back to the disk.

        Raises:
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full.
        """
        from clipsearch.compaction import compact_library

        return compact_library(self._store, notify=self._notify)

    def export(self, directory: Path | str, *, format: str = "npz") -> ExportReport:
        """Write paths, metadata, embeddings, tags and concepts to a new directory: ``npz`` (with JSONL) or ``parquet``.

        Raises:
            ConfigError: there is something at `directory`, or it cannot be written.
            LibraryError: embeddings in the catalog are damaged.
        """
        from clipsearch.transfer import export_library

        return export_library(self._store, Path(directory).expanduser(), form=format)

    def import_from(self, directory: Path | str) -> ImportReport:
        """Add what `export` wrote; no picture is read and nothing is embedded.

        What the library knows stays as it is. A concept that it knows gets the examples that it lacks, and is then
        fitted again when it is next used.

        Raises:
            ConfigError: it is no export, is damaged, or is of a newer clipsearch.
            IndexMismatchError: its embeddings are another model's than the library's.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.transfer import import_library

        return import_library(self._store, Path(directory).expanduser(), notify=self._notify)

    def copy_index(self, target: str) -> IndexCopyReport:
        """Build the vector index with another engine, and make searches use it (docs/vectors.md).

        Args:
            target: ``faiss``, ``milvus`` (a local file in the library) or ``milvus:URI``.

        Raises:
            ConfigError: the target is none, or what it needs is not installed.
            LibraryError: the target cannot be reached.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.vectors.moving import copy_index

        return copy_index(self._store, target, notify=self._notify)

    def _root_at(self, path: Path | str) -> RootRecord:
        given = Path(path).expanduser()
        roots = self._store.roots.all()
        for root in roots:
            if root.path in (given, given.absolute(), given.resolve()):
                return root
        known = ", ".join(str(root.path) for root in roots) or "none"
        raise ConfigError(f"{given} is not an indexed folder; those are: {known}")

    def duplicates(
        self, *, kinds: Collection[DuplicateKind] = ("identical", "same", "near"), within: Path | str | None = None
    ) -> list[DuplicateGroup]:
        """Groups of files that show the same picture; nothing is deleted.

        Args:
            kinds: ``identical`` (the same bytes), ``same`` (re-encoded, resized), ``near`` (cropped, turned, edited).
            within: a folder; only files in it count.

        Returns:
            Groups of two files or more, the one to keep first.

        Raises:
            QueryError: the library has no images.
        """
        from clipsearch.duplicates import find_duplicates
        from clipsearch.duplicates.held import held_contents

        model = self._store.models.active()
        if model is None:
            raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
        folder = Path(within).expanduser().absolute() if within is not None else None
        contents, embeddings = held_contents(self._store, model, within=folder)
        return find_duplicates(contents, embeddings, kinds=kinds)
