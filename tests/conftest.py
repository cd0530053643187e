"""What several test files share: a small deterministic encoder, generated photos, and libraries made of them."""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image, ImageColor
from sqlalchemy import Pool, event

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.cli import cli
from clipsearch.config import LibraryPlace
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash, load_image
from clipsearch.media.metadata.gazetteer import Gazetteer
from clipsearch.media.thumbnails import write_thumbnail
from clipsearch.media.transform import ImageSpec, ImageTransform
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.parity import Parity

if TYPE_CHECKING:
    from tests.postgres.server import PostgresServer


class ColourEncoder:
    """A dual encoder without a model: a picture is its colours, a word the picture of that colour.

    Attributes:
        embedded: how many pictures it has embedded.
    """

    spec = "hf-hub:tests/colours"
    fingerprint = "0123456789abcdef"
    device = "cpu"
    precision = "fp32"
    parity: Parity | None = None
    logit_scale = 10.0

    def __init__(self, *, dim: int = 16, fingerprint: str | None = None) -> None:
        self.dim = dim
        self.fingerprint = fingerprint or self.fingerprint
        self.transform = ImageTransform(ImageSpec(size=(8, 8), resize_mode="squash"))
        self.embedded = 0
        self._projection = np.random.default_rng(7).normal(size=(8 * 8 * 3, dim)).astype(np.float32)

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        return self.encode_pixels(np.stack([self.transform(image) for image in images]))

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        self.embedded += len(pixels)
        return self._embed(pixels)

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        colours = np.array([_colour_of(text.split()[-1]) for text in texts], dtype=np.uint8)
        return self._embed(np.broadcast_to(colours[:, None, None, :], (len(texts), 8, 8, 3)))

    def _embed(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        centred = pixels.reshape(len(pixels), -1).astype(np.float32) / 127.5 - 1.01
        return l2_normalize(centred @ self._projection)


class OtherEncoder(ColourEncoder):
    """Another model: other weights and another dimension."""

    spec = "hf-hub:tests/other-colours"
    fingerprint = "fedcba9876543210"

    def __init__(self) -> None:
        super().__init__(dim=24)


def _colour_of(word: str) -> tuple[int, ...]:
    """The colour of that name; of any other word a colour of its own."""
    try:
        return ImageColor.getrgb(word)
    except ValueError:
        return tuple(zlib.crc32(word.encode()).to_bytes(4, "big")[:3])


ROOT = Path(__file__).parents[1]
"""The checkout."""

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 8 << 30

if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
    os.environ["TMPDIR"] = str(_MEMORY)  # each commit of a catalog waits for the disk, which two test runs share
    tempfile.tempdir = None

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # each core has a test process of its own; inherited by those and by commands

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
"""Milvus brings gRPC, whose threads may abort a process that is forked, like the database server's, before it runs."""

EVERYDAY = ("test_a_user_goes_through_every_page",)
"""The walk through the page, which `make test` runs, too."""

TOGETHER = ("browser", "models", "ray")
"""Folders whose tests share something expensive, like a browser or a cluster: one worker process runs all of them; of
other folders it runs whole files, which make their libraries and models once.
"""

LONG = ("browser", "ray")
"""Folders whose tests are left to `make test-all`, but for `EVERYDAY`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in LONG and item.name not in EVERYDAY:
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: item.path.parent.name not in TOGETHER)  # first what takes longest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By `TOGETHER`; xdist's own groups are without effect under pytest 9.2 (pytest-xdist issue 1386)."""
    from xdist.scheduler import LoadScopeScheduling

    class FilesTogether(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = Path(file).parent.name
            return folder if folder in TOGETHER else file

    return FilesTogether(config, log)


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests compute for their models does not end up in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def ordinary_priority() -> Iterator[None]:
    """A test that leaves its process in real time would starve all that run beside it, and everything started later."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.fixture(autouse=True, scope="session")
def one_gazetteer() -> Iterator[None]:
    """The gazetteer takes seconds to load: a test process does so once, if at all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clipsearch.maintenance.places.Gazetteer", functools.cache(Gazetteer))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    from tests.postgres.server import PostgresServer

    with PostgresServer.start() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_place(request: pytest.FixtureRequest, tmp_path: Path) -> LibraryPlace:
    """Where an empty catalog is, in each kind of database."""
    if request.param == "sqlite":
        Catalog(tmp_path, create=True).close()
        return tmp_path
    return cast("PostgresServer", request.getfixturevalue("postgres_server")).catalog()


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


def mostly_long(values: Sequence[Any], *, everyday: int = 1) -> list[Any]:
    """Values to parametrize with: of long tests whose cases are alike, some are everyday ones, spread evenly."""
    step = max(1, len(values) // everyday)
    marks = (() if number % step == 0 else pytest.mark.long for number in range(len(values)))
    cases = (value if isinstance(value, tuple) else (value,) for value in values)
    return [pytest.param(*case, marks=mark) for case, mark in zip(cases, marks, strict=True)]


def save_photo(path: Path, colour: str | tuple[int, int, int], *, size: tuple[int, int] = (48, 32)) -> Path:
    """Write a picture of one colour with a little of its own noise, so that no two are byte for byte alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.array(ImageColor.getrgb(colour) if isinstance(colour, str) else colour, dtype=np.int16)
    seed = zlib.crc32(repr((path.name, rgb.tolist(), size)).encode())
    noise = np.random.default_rng(seed).integers(-6, 7, size=(size[1], size[0], 3))
    Image.fromarray((rgb + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


COLOURS = ("red", "green", "blue", "yellow", "white", "black")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one photo of each colour, two of them deeper."""
    folder = tmp_path / "photos"
    for colour in COLOURS[:4]:
        save_photo(folder / f"{colour}.png", colour)
    save_photo(folder / "grey" / "white.jpg", "white")
    save_photo(folder / "grey" / "black.webp", "black")
    return folder


class Notes(list[str]):
    """Collects what a library tells."""

    def __call__(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def notes() -> Notes:
    return Notes()


Encoders: TypeAlias = "dict[str, Callable[[], ColourEncoder]]"


@pytest.fixture
def encoders() -> Encoders:
    """What makes the encoder of a spec, for libraries that change their model; a test may put in others."""
    return {"hf-hub:tests/colours": ColourEncoder, "hf-hub:tests/other-colours": OtherEncoder}


@pytest.fixture
def open_library(
    tmp_path: Path, encoder: ColourEncoder, encoders: Encoders, notes: Notes
) -> Iterator[Callable[..., Library]]:
    """Opens libraries with the colour encoder and closes them at the end."""
    opened: list[Library] = []

    def open_(path: Path | None = None, **options: object) -> Library:
        settings = {"create": True, "encoder": encoder, "load_encoder": lambda spec: encoders[spec](), "notify": notes}
        settings |= options
        opened.append(Library.open(path or tmp_path / "library", **settings))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for library in opened:
        library.close()


@pytest.fixture
def library(open_library: Callable[..., Library]) -> Library:
    return open_library()


OpenCatalog: TypeAlias = "Callable[[Library], Catalog]"


@pytest.fixture
def open_catalog() -> Iterator[OpenCatalog]:
    """Opens the catalog of a library once more, as another process does, and closes it at the end."""
    opened: list[Catalog] = []

    def open_(library: Library) -> Catalog:
        opened.append(Catalog(library.path))
        return opened[-1]

    yield open_
    for catalog in opened:
        catalog.close()


@contextmanager
def nearly_full_disk(library: Path, *, pages: int) -> Iterator[None]:
    """The catalog of a library opened here can grow by so many pages; SQLite then fails as on a full disk."""
    with closing(sqlite3.connect(library / CATALOG_NAME)) as connection:
        limit = f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0] + pages}"

    def on_connect(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(limit)

    event.listen(Pool, "connect", on_connect)
    try:
        yield
    finally:
        event.remove(Pool, "connect", on_connect)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos of `photos` and the library that indexed them, previews included; to be copied."""
    folder = tmp_path_factory.mktemp("prepared")
    for colour in COLOURS[:4]:
        save_photo(folder / "photos" / f"{colour}.png", colour)
    save_photo(folder / "photos" / "grey" / "white.jpg", "white")
    save_photo(folder / "photos" / "grey" / "black.webp", "black")
    with Library.open(folder / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(folder / "photos")
        for path in sorted((folder / "photos").rglob("*.*")):
            write_thumbnail(library.path, content_hash(path.read_bytes()), load_image(path).image)
    return folder


@pytest.fixture
def indexed(prepared: Path, photos: Path, tmp_path: Path, open_library: Callable[..., Library]) -> Library:
    """A library of its own, that has indexed `photos`, at the price of a copy."""
    shutil.copytree(prepared / "library", tmp_path / "library")
    shutil.copytree(prepared / "photos", photos, dirs_exist_ok=True)  # with the times that the catalog has
    library = open_library()
    (root,) = library.roots.all()
    library.roots.move(root.path, photos)
    library.search("red")
    return library


LoadWith: TypeAlias = Callable[[Callable[..., Any]], None]


@pytest.fixture
def load_with(monkeypatch: pytest.MonkeyPatch) -> LoadWith:
    """Commands, the page and libraries that name a model load it with this function: called like `load_encoder`."""
    return lambda load: monkeypatch.setattr("clipsearch.models.loading.load_encoder", load)


Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(indexed: Library, load_with: LoadWith) -> Run:
    """Runs a command on the library `indexed`, with its encoder."""
    load_with(lambda *_, **__: indexed.loaded_encoder)

    def run_(*arguments: object) -> Result:
        words = ["--library", str(indexed.path), *map(str, arguments)]
        return CliRunner().invoke(cli, words, prog_name="clipsearch")

    return run_
