"""What the library tells about itself and about a run of the indexer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class FileFailure:
    """A file that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class IndexProgress:
    """Where a run of the indexer stands.

    Attributes:
        done: files dealt with of those that had to be read.
        total: files that have to be read; ``None`` while the folders are still being walked.
        images_per_second: since the first file.
        remaining_s: time left in seconds; ``None`` while it cannot be told.
    """

    done: int
    total: int | None
    images_per_second: float
    remaining_s: float | None


@dataclass(frozen=True)
class IndexReport:
    """What a run of the indexer did, in files.

    Attributes:
        embedded: new contents, embedded.
        reused: new or changed files whose content was embedded before.
        unchanged: files passed over because they are as they were.
        removed: files that are no longer there.
        failures: files that cannot be read, those known from before included.
        seconds: wall time.
    """

    embedded: int = 0
    reused: int = 0
    unchanged: int = 0
    removed: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def indexed(self) -> int:
        """Files that are new in the catalog or changed."""
        return self.embedded + self.reused


@dataclass(frozen=True)
class RootStatus:
    """An indexed folder: how many of its files are in the catalog, and whether it is there now."""

    path: Path
    files: int
    online: bool


@dataclass(frozen=True)
class LibraryStatus:
    """What a library holds.

    Attributes:
        path: its directory.
        model: spec of the model that searches use; ``None`` before the first indexing.
        precision: of that model's embeddings when they were first made.
        dim: embedding dimension.
        files: picture files in the catalog.
        images: distinct contents among them.
        failures: files that could not be read.
        bytes_on_disk: size of the library's own files.
        roots: the indexed folders.
    """

    path: Path
    model: str | None
    precision: str | None
    dim: int | None
    files: int
    images: int
    failures: int
    bytes_on_disk: int
    roots: list[RootStatus]
