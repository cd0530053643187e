"""Reports of a library's status and of indexing runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from clipsearch.catalog.records import SpaceRecord


@dataclass(frozen=True)
class FileFailure:
    """An unreadable file, the reason, and when it failed (with time zone; ``None`` for the current run)."""

    path: Path
    reason: str
    failed_at: datetime | None = None


@dataclass(frozen=True)
class IndexProgress:
    """Progress of an indexing run.

    Attributes:
        done: processed files.
        total: files to process; ``None`` while folders are being scanned.
        images_per_second: since the first file.
        remaining_s: estimated seconds left; ``None`` if unknown.
        of: what is counted; the last step of a migration fits concepts.
    """

    done: int
    total: int | None
    images_per_second: float
    remaining_s: float | None
    of: Literal["picture", "concept"] = "picture"


@dataclass(frozen=True)
class StageTime:
    """Time of an indexing stage.

    Attributes:
        stage: its name.
        seconds: total over its processes.
        processes: number of processes; 0 for the main process.
    """

    stage: str
    seconds: float
    processes: int


@dataclass(frozen=True)
class IndexReport:
    """Result of an indexing run, in files.

    Attributes:
        embedded: embedded new contents.
        reused: new or changed files with known content.
        unchanged: skipped unchanged files.
        sidecars: unchanged files whose sidecars were read again.
        moved: missing files whose content exists under another path.
        removed: other missing files, removed from the catalog.
        missing: missing files kept in the catalog, because they are more than half of a root.
        failures: unreadable files, including earlier ones.
        offline: offline roots, which were not changed.
        excluded: files removed from the catalog because they are excluded now.
        unread: number of files of other kinds in the roots by kind (``mp4``, ``psd``), most frequent first.
        seconds: wall time.
        stages: times of the decoding processes' stages, then of the main process's. The rest of the wall time is
            mainly loading of the model.
    """

    embedded: int = 0
    reused: int = 0
    unchanged: int = 0
    sidecars: int = 0
    moved: int = 0
    removed: int = 0
    missing: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    offline: list[Path] = field(default_factory=list)
    excluded: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    stages: tuple[StageTime, ...] = ()

    @property
    def indexed(self) -> int:
        """New and changed files."""
        return self.embedded + self.reused


@dataclass(frozen=True)
class TextReport:
    """Result of a run that reads the text in pictures.

    Attributes:
        read: pictures read.
        with_text: pictures of those with text.
        lines: lines of text found.
        failed: pictures that could not be read.
        left: pictures of the library that are not read yet.
        seconds: wall time.
    """

    read: int
    with_text: int
    lines: int
    failed: int
    left: int
    seconds: float


@dataclass(frozen=True)
class IndexPreview:
    """What an indexing run would do, determined without reading files.

    Attributes:
        to_read: new, changed or incomplete files.
        unchanged: number of files to skip.
        gone: missing files: moved, renamed or deleted, which only reading can distinguish.
        failures: files that failed before and would be skipped.
        offline: offline roots, which would not be changed.
        excluded: files that would be removed because they are excluded.
        unread: as in `IndexReport`.
    """

    to_read: list[Path] = field(default_factory=list)
    unchanged: int = 0
    gone: list[Path] = field(default_factory=list)
    failures: list[FileFailure] = field(default_factory=list)
    offline: list[Path] = field(default_factory=list)
    excluded: list[Path] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MigrationReport:
    """Result of a migration to another model, in distinct images.

    Attributes:
        embedded: embedded from files.
        from_preview: embedded from thumbnails, because the drive is offline.
        missing: not embedded: the file is unreadable, and there is no thumbnail.
        concepts: concepts fitted for the new model.
        switched: whether the new model is active.
        seconds: wall time.
    """

    embedded: int
    from_preview: int
    missing: int
    concepts: int
    switched: bool
    seconds: float


@dataclass(frozen=True)
class RootStatus:
    """A root.

    Attributes:
        path: absolute path.
        files: number of its files in the catalog.
        online: whether it is online.
        exclusions: its exclusion patterns, in gitignore's syntax.
        default_exclusions: whether other programs' private folders are excluded (docs/indexing.md).
    """

    path: Path
    files: int
    online: bool
    exclusions: tuple[str, ...] = ()
    default_exclusions: bool = True


@dataclass(frozen=True)
class LibraryStatus:
    """Status of a library.

    Attributes:
        path: its directory; for a database server, the cache on this machine.
        database: URL of the database without user and password; ``None`` for `catalog.sqlite3` in `path`.
        unread: number of files of other kinds in the roots by kind, most frequent first.
        exclusions: exclusion patterns for every root.
        model: spec of the active model; ``None`` before the first indexing.
        precision: precision of that model's first embeddings.
        dim: embedding dimension.
        files: number of files.
        images: number of distinct contents.
        failures: number of unreadable files.
        interrupted: start of an indexing run that did not finish or is still running.
        bytes_on_disk: size of the library's files.
        roots: the roots.
        spaces: the embedding spaces, complete or not.
    """

    path: Path
    model: str | None
    precision: str | None
    dim: int | None
    files: int
    images: int
    failures: int
    interrupted: datetime | None
    bytes_on_disk: int
    roots: list[RootStatus]
    spaces: list[SpaceRecord] = field(default_factory=list)
    database: str | None = None
    unread: dict[str, int] = field(default_factory=dict)
    exclusions: tuple[str, ...] = ()
