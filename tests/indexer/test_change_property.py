"""Whatever happens to a folder, the catalog equals it after indexing, and each content is embedded once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from tests.conftest import ColourEncoder, save_photo

FOLDERS = ("", "a", "A", "a/deep", "ümläut")
NAMES = ("x.png", "X.png", "y.png", "zwei drei.png")


class ChangingFolder(RuleBasedStateMachine):
    """Random sequences of what people do to their pictures; every path is below `self.root`."""

    paths = Bundle("paths")
    place = st.builds(
        lambda folder, name: f"{folder}/{name}".lstrip("/"), st.sampled_from(FOLDERS), st.sampled_from(NAMES)
    )

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.root, self.away, self.trash = self.base / "photos", self.base / "away", self.base / "trash"
        self.trash.mkdir()
        self.encoder = ColourEncoder()
        self.library = Library.open(self.base / "library", create=True, encoder=self.encoder, notify=lambda _: None)
        save_photo(self.root / "anchor.png", "white")  # an emptied root is taken for an unplugged drive
        self.count = 0
        self.mounted = True
        self.seen: set[str] = set()
        self.catalog: dict[str, str] = {}

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.base)

    @property
    def tree(self) -> Path:
        """Where the files are now."""
        return self.root if self.mounted else self.away

    def contents(self) -> dict[str, str]:
        """Content hash of every picture on the disk, by its relative path."""
        files = (path for path in self.tree.rglob("*.png"))
        return {path.relative_to(self.tree).as_posix(): content_hash(path.read_bytes()) for path in files}

    def new_content(self, path: Path) -> None:
        self.count += 1
        colour = (self.count % 256, self.count // 256, 128)
        save_photo(path, colour, size=(40 + self.count % 40, 40))  # none so long that it has parts, embedded too

    @rule(target=paths, place=place)
    def create(self, place: str) -> str:
        self.new_content(self.tree / place)
        return place

    @rule(path=paths)
    def edit(self, path: str) -> None:
        if (self.tree / path).exists():
            self.new_content(self.tree / path)

    @rule(target=paths, path=consumes(paths), place=place)
    def move(self, path: str, place: str) -> object:
        if not (self.tree / path).exists():
            return multiple()
        (self.tree / place).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).replace(self.tree / place)
        return place

    @rule(target=paths, path=paths, place=place)
    def copy(self, path: str, place: str) -> object:
        if not (self.tree / path).exists() or path == place:
            return multiple()
        (self.tree / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.tree / path, self.tree / place)
        return place

    @rule(path=paths)
    def delete(self, path: str) -> None:
        if (self.tree / path).exists():
            (self.tree / path).replace(self.trash / path.replace("/", "|"))

    @rule(path=paths)
    def restore(self, path: str) -> None:
        kept = self.trash / path.replace("/", "|")
        if kept.exists() and not (self.tree / path).exists():
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            kept.replace(self.tree / path)

    @rule()
    def unmount(self) -> None:
        if self.mounted:
            self.root.rename(self.away)
            self.mounted = False

    @rule()
    def leave_an_empty_mount_point(self) -> None:
        if not self.mounted:
            self.root.mkdir(exist_ok=True)

    @rule()
    def remount(self) -> None:
        if not self.mounted:
            if self.root.exists():
                self.root.rmdir()
            self.away.rename(self.root)
            self.mounted = True

    @rule()
    def index(self) -> None:
        if not self.catalog and not self.mounted:
            return  # never indexed: there is no such folder
        report = self.library.index(self.root, prune=True)
        assert report.failures == []
        if self.mounted:
            self.catalog = self.contents()
            self.seen |= set(self.catalog.values())
        else:
            assert report.offline == [self.root]

    @invariant()
    def the_catalog_equals_the_tree_as_it_was_indexed(self) -> None:
        counts = self.library.counts()
        hashes = {}
        if self.catalog:
            found = self.library.search("white", k=10_000)
            hashes = {result.path.relative_to(self.root).as_posix(): result.content_hash for result in found}
        assert hashes == self.catalog
        assert (counts.files, counts.failures) == (len(self.catalog), 0)

    @invariant()
    def each_content_is_embedded_once(self) -> None:
        assert self.encoder.embedded == len(self.seen)


TestChangingFolder = pytest.mark.long(ChangingFolder.TestCase)
TestChangingFolder.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
