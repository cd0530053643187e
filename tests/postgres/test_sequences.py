"""Any sequence of changes has the same result in SQLite, PostgreSQL and a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clipsearch.catalog.batch import Batch
from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.filters import FilterCompiler
from clipsearch.catalog.records import FailureRecord, FileRecord, NewEmbedding, NewImage
from clipsearch.errors import LibraryError
from clipsearch.media.metadata.values import ImageMetadata
from clipsearch.query import parse_query
from tests.postgres.server import PostgresServer

DIM = 4
DIGESTS = [f"{number:032x}" for number in range(5)]
PATHS = ["a.jpg", "Été/B.JPG", "été/b.jpg", "x/ΑΣ.png", "100%_x/c.jpeg", "caf\udce9/\udcff.heic", "x/y/a.jpg"]
ROOTS = [Path("/photos"), Path("/Volumes/usb ÉS")]
FILTERS = [
    "camera:éclair",
    "camera:ας",
    "-camera:canon",
    "iso:>=200",
    "iso:999999999",
    "rating:-1..3",
    "aperture:<2.8",
    "size:>5MP",
    "size:<100000px",
    "size:>999999999MB",
    "camera:a\x00b",
    "-camera:a\x00b",
    "size:<=2kB",
    "orientation:square",
    "near:35.3,25.1,50km",
    "keyword:straße",
    "tag:dog",
    "-tag:dog",
    "title:50%",
    "folder:été",
    "folder:x",
    "path:*é*",
    "path:100%_*",
    'path:"???????"',
    "ext:jpg",
    'root:"usb és"',
    "date:2021-06",
    "after:1999 before:2021-07",
    "status:online",
]

METADATA = st.builds(
    ImageMetadata,
    taken_at=st.sampled_from([None, datetime(2021, 6, 30, 23, 59, 59, 5), datetime(1999, 1, 1)]),
    camera=st.sampled_from([None, "Canon EOS", "ÉCLAIR ΑΣ", "İ 100%"]),
    f_number=st.sampled_from([None, 1.4, 2.8]),
    iso=st.sampled_from([None, 199, 200, 100_000_000]),
    latitude=st.just(35.31),
    longitude=st.sampled_from([25.1, -25.1]),
    title=st.sampled_from([None, "50% \\ off", "500"]),
    rating=st.sampled_from([None, -1, 0, 5]),
    keywords=st.sampled_from([(), ("Straße", "sea"), ("STRASSE",)]),
)
SIZES = st.sampled_from([(60_000, 60_000), (300, 100), (40, 40)])


@dataclass
class Expected:
    """The expected content of a catalog."""

    files: dict[tuple[Path, str], tuple[int, str]] = field(default_factory=dict)
    failures: dict[tuple[Path, str], str] = field(default_factory=dict)
    embedded: set[str] = field(default_factory=set)
    decisions: dict[tuple[str, str], bool] = field(default_factory=dict)


class Catalogs(RuleBasedStateMachine):
    """A catalog in each database, and their expected content."""

    open_catalogs: Callable[[], list[Catalog]]

    @initialize()
    def begin(self) -> None:
        self.stores = type(self).open_catalogs()
        self.expected = Expected()
        self.models = [
            store.models.activate(spec="tiny", fingerprint="ff", dim=DIM, precision="fp32") for store in self.stores
        ]
        self.roots = [{root: store.roots.add(root) for root in ROOTS} for store in self.stores]

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.look_closely()
            for store in self.stores:
                store.close()

    def same(self, function: Callable[[Catalog], Any]) -> Any:
        """The result of both, which must be equal, including errors."""
        answers = []
        for store in self.stores:
            try:
                answers.append(function(store))
            except LibraryError as error:
                answers.append(type(error))
        assert answers[0] == answers[1]
        return answers[0]

    def commit(self, root: Path, **what: Any) -> Any:
        def commit(store: Catalog) -> None:
            number = self.stores.index(store)
            store.commit(Batch(self.roots[number][root], **what), self.models[number].id)

        return self.same(commit)

    @rule(
        root=st.sampled_from(ROOTS),
        path=st.sampled_from(PATHS),
        digest=st.sampled_from(DIGESTS),
        size=st.integers(0, 2**40),
        metadata=METADATA,
        pixels=SIZES,
    )
    def add(
        self, root: Path, path: str, digest: str, size: int, metadata: ImageMetadata, pixels: tuple[int, int]
    ) -> None:
        image = NewImage(digest, *pixels, "JPEG", metadata, b"\x00\xff")
        self.commit(root, images=[image], embeddings=[embedding(digest)], files=[FileRecord(path, size, 7, digest)])
        self.expected.files[root, path] = (size, digest)
        self.expected.failures.pop((root, path), None)
        self.expected.embedded.add(digest)

    @rule(root=st.sampled_from(ROOTS), path=st.sampled_from(PATHS))
    def fail(self, root: Path, path: str) -> None:
        self.commit(root, failures=[FailureRecord(path, 1, 2, "damaged \x00")])
        self.expected.files.pop((root, path), None)
        self.expected.failures[root, path] = "damaged"

    @rule(root=st.sampled_from(ROOTS), path=st.sampled_from(PATHS), digest=st.sampled_from(DIGESTS))
    def add_without_content(self, root: Path, path: str, digest: str) -> None:
        """A file of an unknown content is refused, with the rest of the batch."""
        known = any(store.upkeep.known_contents(digest) for store in self.stores)
        found = self.commit(root, removed=[path], files=[FileRecord(path, 3, 7, digest)])
        assert (found is LibraryError) == (not known)
        if known:  # removals come after files
            self.expected.files.pop((root, path), None)
            self.expected.failures.pop((root, path), None)

    @rule(root=st.sampled_from(ROOTS), old=st.sampled_from(PATHS), new=st.sampled_from(PATHS))
    def rename(self, root: Path, old: str, new: str) -> None:
        file = self.expected.files.get((root, old))
        if file is None or old == new:
            return
        self.commit(root, files=[FileRecord(new, file[0], 7, file[1])], removed=[old])
        del self.expected.files[root, old]
        self.expected.files[root, new] = file
        self.expected.failures.pop((root, new), None)

    @rule(digest=st.sampled_from(DIGESTS), from_preview=st.booleans())
    def embed_again(self, digest: str, from_preview: bool) -> None:
        if digest in self.expected.embedded:
            self.commit(ROOTS[0], embeddings=[embedding(digest, from_preview=from_preview)])

    @rule(
        digest=st.sampled_from(DIGESTS), tag=st.sampled_from(["dog", "Ärger"]), present=st.sampled_from([True, False])
    )
    def decide(self, digest: str, tag: str, present: bool) -> None:
        self.same(lambda store: store.tags.decide([digest], tag, present=present))
        self.expected.decisions[digest, tag] = present

    @rule()
    def drop_unreferenced(self) -> None:
        self.same(lambda store: store.upkeep.drop_unreferenced())
        live = {digest for _, digest in self.expected.files.values()}
        self.expected.embedded &= live
        self.expected.decisions = {key: value for key, value in self.expected.decisions.items() if key[0] in live}

    @rule(root=st.sampled_from(ROOTS), below=st.sampled_from(["", "x", "été", "100%_x", "x/y/a.jpg"]))
    def forget_below(self, root: Path, below: str) -> None:
        def forget(store: Catalog) -> int:
            root_id = self.roots[self.stores.index(store)][root]
            return store.upkeep.forget([store.upkeep.rows_below(root_id, below)])

        forgotten = self.same(forget)
        gone = [
            (where, path)
            for paths in (self.expected.files, self.expected.failures)
            for where, path in paths
            if where == root and (not below or path == below or path.startswith(f"{below}/"))
        ]
        assert forgotten == len(gone)
        for key in gone:
            self.expected.files.pop(key, None)
            self.expected.failures.pop(key, None)

    @rule(line=st.sampled_from(FILTERS), by_path=st.booleans())
    def search(self, line: str, by_path: bool) -> None:
        filter_ = parse_query(line).filter
        assert filter_ is not None

        def search(store: Catalog) -> list[tuple[Any, ...]]:
            model = self.models[self.stores.index(store)]
            condition = FilterCompiler(store.roots.all(), is_online=lambda _: True).condition(filter_)
            found = store.files_where(model.id, condition, by_path=by_path, limit=50, offset=0)
            facets = store.overview.facets(condition)
            ids = store.embedding_ids_where(model.id, condition)
            return [
                facets,
                len(ids),
                *((file.path, file.size, file.content_hash, file.width, file.taken_at) for file in found),
            ]

        self.same(search)

    @invariant()
    def counts_are_expected(self) -> None:
        if not hasattr(self, "stores"):
            return
        self.same(lambda store: store.revision())
        counts = self.same(lambda store: store.counts())
        live = {digest for _, digest in self.expected.files.values()}
        assert (counts.files, counts.images, counts.failures) == (
            len(self.expected.files),
            len(live),
            len(self.expected.failures),
        )

    @rule()
    def look_closely(self) -> None:
        self.same(lambda store: store.overview.facets())
        live = {digest for _, digest in self.expected.files.values()}
        for number, store in enumerate(self.stores):
            self.check(store, self.models[number].id, live)

    def check(self, store: Catalog, model_id: int, live: set[str]) -> None:
        seen = {(root.path, file.relative_path): file for root in store.roots.all() for file in store.files_in(root.id)}
        assert {key for key, file in seen.items() if not file.failed} == set(self.expected.files)
        assert {key for key, file in seen.items() if file.failed} == set(self.expected.failures)
        ids = store.live_embedding_ids(model_id)[1].tolist()
        found = store.files_of(ids)
        assert {files[0].content_hash for files in found.values()} == live & self.expected.embedded
        assert len(found) == len(live)
        blocks = [rows for _, rows in store.embeddings(np.array(ids, np.int64), dim=DIM)]
        assert sum(len(rows) for rows in blocks) == len(live)
        decided = {
            (digest, record.tag) for digest in DIGESTS for record in store.tags.of(digest) if record.source == "person"
        }
        assert decided == {key for key, present in self.expected.decisions.items() if present}


def embedding(digest: str, *, from_preview: bool = False) -> NewEmbedding:
    vector = np.eye(DIM, dtype=np.float32)[int(digest, 16) % DIM]
    return NewEmbedding(digest, vector, from_preview=from_preview)


@pytest.fixture
def open_catalogs(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Callable[[], list[Catalog]]]:
    """Opens an empty catalog of each kind; the databases are dropped at the end."""
    opened: list[str] = []

    def open_() -> list[Catalog]:
        place = postgres_server.catalog()
        opened.append(str(place).rpartition("/")[2])
        return [Catalog(tmp_path / f"library {len(opened)}", create=True), Catalog(place)]

    yield open_
    for name in opened:
        postgres_server.execute(f"DROP DATABASE {name}")


@pytest.mark.long
def test_any_sequence_has_equal_results(open_catalogs: Callable[[], list[Catalog]], tmp_path: Path) -> None:
    def open_both() -> list[Catalog]:
        (tmp_path / f"library {len(list(tmp_path.iterdir())) + 1}").mkdir()
        return open_catalogs()

    machine = type("Catalogs", (Catalogs,), {"open_catalogs": staticmethod(open_both)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
