"""What the library tells about itself and about a run of the indexer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class FileFailure:
    """A file that could not be read, why, and when that was found (with time zone; ``None`` for just now)."""

    path: Path
    reason: str
    failed_at: datetime | None = None


@dataclass(frozen=True)
class IndexProgress:
    """Where a run of the indexer stands.

    Attributes:
        done: files dealt with of those that had to be read.
        total: files that have to be read; ``None`` while the folders are still being walked.
        images_per_second: since the first file.
        remaining_s: time left in seconds; ``None`` while it cannot be told.
        of: what is counted: the last step of a migration fits concepts.
    """

    done: int
    total: int | None
    images_per_second: float
    remaining_s: float | None
    of: Literal["picture", "concept"] = "picture"


@dataclass(frozen=True)
class StageTime:
    """What a stage of indexing took.

    Attributes:
        stage: its name.
        seconds: spent in it, added up over the processes that share it.
        processes: how many those were; 0 for what the program's own process does, one stage after the other.
    """

    stage: str
    seconds: float
    processes: int


@dataclass(frozen=True)
class IndexReport:
    """What a run of the indexer did, in files.

    Attributes:
        embedded: new contents, embedded.
        reused: new or changed files whose content was embedded before.
        unchanged: files passed over because they are as they were.
        moved: files that are no longer there, but whose content is, under another name.
        removed: other files that are no longer there.
        missing: such files that were kept in the catalog, because they are more than half of a folder.
        failures: files that cannot be read, those known from before included.
        offline: folders that are not there now; nothing of them was changed.
        seconds: wall time.
        stages: where the time went: the decoding processes' stages in the order a file goes through them, then this
            process's. What is left of the wall time went into loading the model and small things.
    """

    embedded: int = 0
    reused: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    missing: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    offline: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    stages: tuple[StageTime, ...] = ()

    @property
    def indexed(self) -> int:
        """Files that are new in the catalog or changed."""
        return self.embedded + self.reused


@dataclass(frozen=True)
class IndexPreview:
    """What a run of the indexer would do; found without reading a file.

    Attributes:
        to_read: files that are new, changed, or not known well enough.
        unchanged: how many files would be passed over.
        gone: files that are no longer there: moved, renamed or deleted, which only reading can tell.
        failures: files that could not be read before and would be left alone.
        offline: folders that are not there now; nothing of them would be changed.
    """

    to_read: list[Path] = field(default_factory=list)
    unchanged: int = 0
    gone: list[Path] = field(default_factory=list)
    failures: list[FileFailure] = field(default_factory=list)
    offline: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class MigrationReport:
    """What a migration to another model did, in distinct pictures.

    Attributes:
        embedded: from their files.
        from_preview: from their thumbnails, because their drive is not there.
        missing: that the new model still lacks: their file cannot be read, and there is no thumbnail.
        concepts: named concepts that were fitted for the new model.
        switched: whether searches use the new model now.
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
    """An indexed folder: how many of its files are in the catalog, and whether it is there now."""

    path: Path
    files: int
    online: bool


@dataclass(frozen=True)
class SpaceStatus:
    """A model's embedding space, in distinct pictures.

    Attributes:
        model: spec.
        embedded: pictures in it.
        from_preview: of them, those embedded from their thumbnail, until their drive is there again.
        missing: pictures that it lacks.
        active: searches use it.
    """

    model: str
    embedded: int
    from_preview: int
    missing: int
    active: bool


@dataclass(frozen=True)
class LibraryStatus:
    """What a library holds.

    Attributes:
        path: its directory; of one in a database, what this machine keeps of it.
        database: the address of that database without user and password; ``None`` for `catalog.sqlite3` in `path`.
        model: spec of the model that searches use; ``None`` before the first indexing.
        precision: of that model's embeddings when they were first made.
        dim: embedding dimension.
        files: picture files in the catalog.
        images: distinct contents among them.
        failures: files that could not be read.
        interrupted: when the run of the indexer began that did not come to its end, or is still at work.
        bytes_on_disk: size of the library's own files.
        roots: the indexed folders.
        spaces: each model that has embedded the pictures, or is being filled.
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
    spaces: list[SpaceStatus] = field(default_factory=list)
    database: str | None = None
