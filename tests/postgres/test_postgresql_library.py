"""A library in PostgreSQL: opened by URL, with the same search results, and one-line errors without secrets."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.cli import cli
from clipsearch.config import LIBRARY_VARIABLE, DatabaseUrl, library_place
from clipsearch.errors import ConfigError, LibraryError, SchemaVersionError
from clipsearch.library import Library
from tests.conftest import ColourEncoder, LoadWith
from tests.postgres.server import PostgresServer
from tests.videos import write_video


@pytest.fixture
def place(postgres_server: PostgresServer) -> DatabaseUrl:
    return postgres_server.catalog()


@pytest.fixture
def filled(place: DatabaseUrl, photos: Path) -> Iterator[Library]:
    """A library that has indexed `photos`."""
    with Library.open(place, create=True, encoder=ColourEncoder()) as library:
        library.index(photos)
        yield library


def test_search_results_equal_those_of_a_directory(filled: Library, library: Library, photos: Path) -> None:
    library.index(photos)
    for line in ("red", "white grey", "red path:*.png", "ext:jpg", "-ext:png", "blue -red folder:grey"):
        expected = [(result.path, pytest.approx(result.score, abs=1e-6)) for result in library.search(line, k=6)]
        assert [(result.path, result.score) for result in filled.search(line, k=6)] == expected != []
    assert filled.status().roots == library.status().roots
    assert filled.maintenance.check(full=True).findings == []
    assert filled.maintenance.compact().images == 0


@pytest.mark.long
def test_videos_and_their_moments_are_those_of_a_directory(filled: Library, library: Library, photos: Path) -> None:
    write_video(photos / "lights.mp4", [("red", 3), ("lime", 3), ("blue", 3)])
    write_video(photos / "signs.mkv", [("yellow", 2), ("red", 2), ("yellow", 2), ("red", 2)])
    library.index(photos)
    filled.index(photos)
    lines = ("blue", "red kind:video", "kind:video", "kind:image red", "duration:>8.5s", "duration:5s..1m lime")
    for line, moments in product(lines, (False, True)):
        expected = library.search(line, k=20, moments=moments)
        found = filled.search(line, k=20, moments=moments)
        assert [(item.path, item.segment, item.duration_s) for item in found] == [
            (item.path, item.segment, item.duration_s) for item in expected
        ]
        assert [item.score for item in found] == pytest.approx([item.score for item in expected], abs=1e-6)
    assert filled.search("blue kind:video", k=1)[0].segment.start_s == 6.0
    assert len(filled.search("red kind:video", k=20, moments=True)) > 2
    at = [library.similar(photos / "signs.mkv", at_s=3.0), filled.similar(photos / "signs.mkv", at_s=3.0)]
    assert [item.path for item in at[0]] == [item.path for item in at[1]]


def test_commands_accept_a_url(
    filled: Library, place: DatabaseUrl, monkeypatch: pytest.MonkeyPatch, load_with: LoadWith
) -> None:
    shown = CliRunner().invoke(cli, ["--library", place.text, "status", "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.output)["library"] == str(place)
    monkeypatch.setenv(LIBRARY_VARIABLE, place.text)
    shown = CliRunner().invoke(cli, ["status"])
    assert f"library    {place}\n" in shown.output
    assert f"cache      {filled.path}\n" in shown.output
    load_with(lambda *_, **__: ColourEncoder())
    assert CliRunner().invoke(cli, ["search", "ext:jpg", "--paths"]).stdout.endswith("white.jpg\n")


def test_derived_data_is_in_a_local_cache(filled: Library, place: DatabaseUrl) -> None:
    assert list((filled.path / "vectors").glob("*.faiss"))
    with Library.open(place, encoder=ColourEncoder()) as again:
        assert again.path == filled.path
    catalog = LazyCatalog(place)
    assert catalog.directory == filled.path
    catalog.close()


def test_another_catalog_at_the_same_url_has_another_cache(postgres_server: PostgresServer, place: DatabaseUrl) -> None:
    store = Catalog(place)
    before = store.directory
    postgres_server.execute("UPDATE catalog_state SET library_id = 'another'", str(place).rpartition("/")[2])
    store.close()
    store = Catalog(place)
    assert store.directory != before
    store.close()


def test_concurrent_opening_creates_the_tables_once(postgres_server: PostgresServer) -> None:
    place = postgres_server.empty_database()
    with pytest.raises(LibraryError, match=r"no library in postgresql:///.*; make one with: clipsearch index FOLDER"):
        Catalog(place)
    opened: list[Catalog] = []
    threads = [threading.Thread(target=lambda: opened.append(Catalog(place, create=True))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({store.directory for store in opened}) == 1 and len(opened) == 4
    for store in opened:
        store.close()


def test_two_libraries_share_a_database_in_schemas_of_their_own(postgres_server: PostgresServer) -> None:
    name = str(postgres_server.empty_database()).rpartition("/")[2]
    stores = []
    for schema in ("one", "two"):
        postgres_server.execute(f"CREATE SCHEMA {schema}", name)
        address = postgres_server.address(name, options=f"&options=-csearch_path%3D{schema}")
        stores.append(Catalog(library_place(address), create=True))
    one, two = stores
    one.roots.add(Path("/photos"))
    assert (len(one.roots.all()), len(two.roots.all())) == (1, 0)
    with one.writer_lock(), two.writer_lock():
        pass
    for store in stores:
        store.close()


def test_text_is_compared_bytewise(postgres_server: PostgresServer, place: DatabaseUrl) -> None:
    others = postgres_server.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND data_type IN ('text', 'character varying') "
        "AND collation_name IS DISTINCT FROM 'C'",
        str(place).rpartition("/")[2],
    )
    assert others == []


def test_a_read_only_user_can_search(
    postgres_server: PostgresServer, filled: Library, place: DatabaseUrl, photos: Path
) -> None:
    name = str(place).rpartition("/")[2]
    postgres_server.execute("CREATE ROLE reader LOGIN", name)
    postgres_server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name)
    reader = DatabaseUrl.parse(place.text.replace("clipsearch@", "reader@"))
    with Library.open(reader, encoder=ColourEncoder()) as library:
        assert library.search("red", k=1)[0].path.name == "red.png"
        with pytest.raises(LibraryError, match=r"cannot be written to .*; check the permissions"):
            library.index(photos)
    postgres_server.execute("DROP OWNED BY reader", name)
    postgres_server.execute("DROP ROLE reader", name)


# --- errors -----------------------------------------------------------------------------------------


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    address = "postgresql://anna:s3cret@127.0.0.1:9/photos"  # an unused port
    result = CliRunner().invoke(cli, ["--debug", "--library", address, "status"])
    assert result.exit_code == 1
    assert "cannot reach postgresql://127.0.0.1:9/photos" in result.stderr.splitlines()[-1]
    assert "s3cret" not in result.output + result.stderr


def test_a_missing_database(postgres_server: PostgresServer) -> None:
    with pytest.raises(LibraryError, match='database "nowhere" does not exist'):
        Catalog(library_place(postgres_server.address("nowhere")))


def test_other_catalogs_are_refused(postgres_server: PostgresServer, place: DatabaseUrl) -> None:
    name = str(place).rpartition("/")[2]
    postgres_server.execute("UPDATE catalog_state SET schema_version = 9999", name)
    with pytest.raises(SchemaVersionError, match="newer clipsearch"):
        Catalog(place)
    other = postgres_server.empty_database()
    postgres_server.execute("CREATE TABLE recipes (id INTEGER)", str(other).rpartition("/")[2])
    with pytest.raises(LibraryError, match="another program"):
        Catalog(other, create=True)


def test_broken_connections_are_replaced(postgres_server: PostgresServer, place: DatabaseUrl) -> None:
    store = Catalog(place)
    name = str(place).rpartition("/")[2]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    model = store.models.activate(spec="colours", fingerprint="ff", dim=4, precision="fp32")
    with pytest.raises(LibraryError, match="cannot reach"), store.exchange.snapshot() as snapshot:
        postgres_server.execute(cut)
        next(snapshot.images(model))
    assert store.counts().files == 0
    with store.writer_lock():  # a lock ends with its connection
        postgres_server.execute(cut)
    with store.writer_lock():
        pass
    store.close()


def test_a_missing_driver_names_the_extra(place: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'clipsearch\[scale\]'"):
        Catalog(place)


def test_a_directory_needs_no_driver(indexed: Library) -> None:
    """A search of a library in a directory loads neither the driver nor SQLAlchemy's part for it."""
    code = (
        "import sys; from pathlib import Path; from clipsearch.library import Library;"
        "from tests.conftest import ColourEncoder;"
        "found = Library.open(Path(sys.argv[1]), encoder=ColourEncoder()).search('red ext:png', k=1);"
        "assert found[0].path.name == 'red.png';"
        "print([name for name in ('psycopg', 'sqlalchemy.dialects.postgresql.psycopg') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(indexed.path)], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.stdout == "[]\n", done.stderr
