"""`Library.maintenance`: check, compact, forget, export and import. None of it needs a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.config import typed_path
from clipsearch.library_parts.context import LibraryContext

if TYPE_CHECKING:
    from clipsearch.catalog.reports import FileFailure
    from clipsearch.maintenance.check import CheckReport
    from clipsearch.maintenance.compact import CompactionReport
    from clipsearch.maintenance.transfer import ExportReport, ImportReport
    from clipsearch.vectors.move import IndexCopyReport


class Maintenance:
    """Maintenance of one library."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context."""
        self._context = context

    def failures(self) -> list[FileFailure]:
        """Unreadable files with reason and time, by path."""
        return self._context.store.failures()

    def forget(self, *paths: Path | str) -> int:
        """Remove files and folders, existing or not, from the library but not from disk. Returns the number of files.

        Raises:
            ConfigError: one of them is not in the library; then none is removed.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.maintenance.forget import forget_paths

        return forget_paths(self._context.store, [typed_path(path) for path in paths])

    def trash(self, *paths: Path | str) -> int:
        """Move files to the system's trash and forget them. Returns their number.

        Raises:
            ConfigError: one of them is not in the library, or a folder; then none is moved.
            LibraryLockedError: another process is writing to this library.
            LibraryError: a file cannot be moved; the files before it were moved.
        """
        from clipsearch.maintenance.forget import move_to_trash

        return move_to_trash(self._context.store, [typed_path(path) for path in paths])

    def check(self, *, repair: bool = False, full: bool = False) -> CheckReport:
        """Verify catalog, vector cache and previews against each other.

        Args:
            repair: repair damage and report what remains.
            full: verify every embedding and preview, not a sample.

        Raises:
            LibraryLockedError: with `repair`, if another process is writing to this library.
        """
        from clipsearch.maintenance.check import check_library, repair_library
        from clipsearch.maintenance.check.findings import DEFAULT_SAMPLE

        run = repair_library if repair else check_library
        return run(self._context.store, sample=None if full else DEFAULT_SAMPLE, notify=self._context.notify)

    def compact(self) -> CompactionReport:
        """Delete images, embeddings, keywords and previews of contents without files, and reclaim disk space.

        Raises:
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full.
        """
        from clipsearch.maintenance.compact import compact_library

        return compact_library(self._context.store, notify=self._context.notify)

    def export(self, directory: Path | str, *, format: str = "npz") -> ExportReport:
        """Write paths, metadata, embeddings, tags and concepts to a new directory: ``npz`` (with JSONL) or ``parquet``.

        Raises:
            ConfigError: `directory` exists or cannot be written.
            LibraryError: embeddings in the catalog are damaged.
        """
        from clipsearch.maintenance.transfer import export_library

        return export_library(self._context.store, typed_path(directory), file_format=format)

    def import_from(self, directory: Path | str) -> ImportReport:
        """Add the content of an export; no picture is read or embedded.

        Existing data of the library is kept. An existing concept gets missing examples, and is fitted again on its
        next use.

        Raises:
            ConfigError: the directory is no export, damaged, or of a newer clipsearch.
            IndexMismatchError: its embeddings are of another model.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.maintenance.transfer import import_library

        return import_library(self._context.store, typed_path(directory), notify=self._context.notify)

    def copy_index(self, target: str) -> IndexCopyReport:
        """Build the vector index with another engine, and make searches use it (docs/vectors.md).

        Args:
            target: ``faiss``, ``milvus`` (a local file in the library) or ``milvus:URI``.

        Raises:
            ConfigError: the target is invalid, or its package is not installed.
            LibraryError: the target cannot be reached.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.vectors.move import copy_index

        return copy_index(self._context.store, target, notify=self._context.notify)
