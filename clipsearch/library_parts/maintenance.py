"""`Library.maintenance`: checking, compacting, forgetting, exporting and importing. None of it needs a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.reports import FileFailure
from clipsearch.library_parts.context import LibraryContext

if TYPE_CHECKING:
    from clipsearch.maintenance.check import CheckReport
    from clipsearch.maintenance.compact import CompactionReport
    from clipsearch.maintenance.transfer import ExportReport, ImportReport
    from clipsearch.vectors.move import IndexCopyReport


class Maintenance:
    """What keeps one library in order."""

    def __init__(self, context: LibraryContext) -> None:
        """Bind what the library's parts share."""
        self._context = context

    def failures(self) -> list[FileFailure]:
        """The files that could not be read, with reason and time, by path."""
        return self._context.store.failures()

    def forget(self, *paths: Path | str) -> int:
        """Forget files and folders, there or not; on disk nothing is touched. Returns how many files those were.

        Raises:
            ConfigError: the library knows nothing of one of them; then none is forgotten.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.maintenance.forget import forget_paths

        return forget_paths(self._context.store, [Path(path).expanduser() for path in paths])

    def trash(self, *paths: Path | str) -> int:
        """Move files to the system's trash and forget them. Returns how many.

        Raises:
            ConfigError: the library knows nothing of one of them, or it is a folder; then none is moved.
            LibraryLockedError: another process is writing to this library.
            LibraryError: one cannot be moved; those before it were.
        """
        from clipsearch.maintenance.trash import move_to_trash

        return move_to_trash(self._context.store, [Path(path).expanduser() for path in paths])

    def check(self, *, repair: bool = False, full: bool = False) -> CheckReport:
        """Verify catalog, vector cache and previews against each other.

        Args:
            repair: mend what can be mended, and say what is left.
            full: look into every embedding and preview, not into a sample.

        Raises:
            LibraryLockedError: it is to be repaired, and another process is writing to it.
        """
        from clipsearch.maintenance.check import check_library, repair_library
        from clipsearch.maintenance.check.findings import DEFAULT_SAMPLE

        run = repair_library if repair else check_library
        return run(self._context.store, sample=None if full else DEFAULT_SAMPLE, notify=self._context.notify)

    def compact(self) -> CompactionReport:
        """Drop what no file holds any more, and give its room back to the disk.

        Raises:
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full.
        """
        from clipsearch.maintenance.compact import compact_library

        return compact_library(self._context.store, notify=self._context.notify)

    def export(self, directory: Path | str, *, format: str = "npz") -> ExportReport:
        """Write paths, metadata, embeddings, tags and concepts to a new directory: ``npz`` (with JSONL) or ``parquet``.

        Raises:
            ConfigError: there is something at `directory`, or it cannot be written.
            LibraryError: embeddings in the catalog are damaged.
        """
        from clipsearch.maintenance.transfer import export_library

        return export_library(self._context.store, Path(directory).expanduser(), form=format)

    def import_from(self, directory: Path | str) -> ImportReport:
        """Add what `export` wrote; no picture is read and nothing is embedded.

        What the library knows stays as it is. A concept that it knows gets the examples that it lacks, and is then
        fitted again when it is next used.

        Raises:
            ConfigError: it is no export, is damaged, or is of a newer clipsearch.
            IndexMismatchError: its embeddings are another model's than the library's.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.maintenance.transfer import import_library

        return import_library(self._context.store, Path(directory).expanduser(), notify=self._context.notify)

    def copy_index(self, target: str) -> IndexCopyReport:
        """Build the vector index with another engine, and make searches use it (docs/vectors.md).

        Args:
            target: ``faiss``, ``milvus`` (a local file in the library) or ``milvus:URI``.

        Raises:
            ConfigError: the target is none, or what it needs is not installed.
            LibraryError: the target cannot be reached.
            LibraryLockedError: another process is writing to this library.
        """
        from clipsearch.vectors.move import copy_index

        return copy_index(self._context.store, target, notify=self._context.notify)
