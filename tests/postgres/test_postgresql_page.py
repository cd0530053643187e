"""The web page with a library in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from clipsearch.cli import cli
from clipsearch.config import DatabaseUrl
from clipsearch.errors import LibraryError, NoLibraryError
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from tests.cli.test_ui import _get
from tests.conftest import ColourEncoder, save_photo
from tests.postgres.server import PostgresServer
from tests.ui.test_search_page import at, data_of, names, well
from tests.ui.test_server import running
from tests.ui_process import start_ui
from ui import indexing, shared, strings_library
from ui.server import ServerSettings

LIMIT_S = 60.0


def search_script() -> None:
    from ui.pages.search import page

    page()


def library_script() -> None:
    from ui.pages.library import page

    page()


@pytest.fixture(autouse=True)
def shared_afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    work = indexing.BackgroundWork(lambda notify: shared.open_library(notify=notify, create=True))
    monkeypatch.setattr("ui.indexing.background", work)
    yield
    work.wait(LIMIT_S)
    shared.configure()


@pytest.fixture
def filled(postgres_server: PostgresServer, photos: Path) -> DatabaseUrl:
    """A library with `photos`, shown by the page."""
    place = postgres_server.catalog()
    with Library.open(place, create=True, encoder=ColourEncoder()) as library:
        library.index(photos)
    shared.configure(place, encoder=ColourEncoder())
    return place


@pytest.mark.long
def test_the_search_page(filled: DatabaseUrl, photos: Path) -> None:
    assert shared.has_pictures()
    app = AppTest.from_function(search_script, default_timeout=LIMIT_S)
    at(app, q="red")
    assert names(app)[0] == "red.png" and len(names(app)) == 6
    at(app, q="red", f="ext:webp")
    assert names(app) == ["black.webp"]
    digits = content_hash((photos / "red.png").read_bytes())
    at(app, q="red", view=digits)
    assert data_of(app, "paths")["files"][0]["path"] == str(photos / "red.png")


@pytest.mark.long
def test_the_library_page(filled: DatabaseUrl, photos: Path) -> None:
    app = AppTest.from_function(library_script, default_timeout=LIMIT_S)
    app.session_state["library_section"] = strings_library.FOLDERS
    well(app.run())
    assert [metric.value for metric in app.metric][:3] == ["6", "6", "0"]
    shown = next(element.value for element in app.text if str(filled) in element.value)
    assert str(shared.library().path) in shown and "clipsearch@" not in shown
    save_photo(photos / "new.png", "purple")
    (button,) = [button for button in app.button if button.label == strings_library.INDEX_NOW]
    well(button.click().run())
    indexing.background.wait(LIMIT_S)
    well(app.run())
    assert app.success[0].value.startswith("Indexed 1 picture in ") and app.metric[0].value == "7"


def test_previews_are_served(filled: DatabaseUrl, photos: Path) -> None:
    digits = content_hash((photos / "red.png").read_bytes())
    with running(ServerSettings(filled)) as client:
        for kind in ("thumbnail", "picture"):
            assert client.get(f"/{kind}/{digits}").image.size == (48, 32)
        assert client.get(f"/thumbnail/{'0' * 32}").status == 404


def test_an_empty_database_is_no_library_until_something_is_indexed(
    postgres_server: PostgresServer, photos: Path
) -> None:
    shared.configure(postgres_server.empty_database(), encoder=ColourEncoder())
    assert not shared.library_exists() and not shared.has_pictures()
    with pytest.raises(NoLibraryError):
        shared.library()
    indexing.background.start_indexing([photos])
    indexing.background.wait(LIMIT_S)
    assert indexing.background.state().error is None
    assert shared.has_pictures() and shared.library().search("red", k=1)


def test_an_unreachable_server_is_not_an_empty_library(tmp_path: Path) -> None:
    url = f"postgresql://anna:secret@/photos?host={tmp_path}"
    shared.configure(DatabaseUrl.parse(url))
    with pytest.raises(LibraryError, match="cannot reach postgresql:///photos"):
        shared.has_pictures()
    refused = CliRunner().invoke(cli, ["--library", url, "ui", "--no-browser"])
    assert refused.exit_code == 1 and "cannot reach postgresql:///photos" in refused.stderr
    assert "secret" not in refused.output


def test_the_command_serves_it(filled: DatabaseUrl, photos: Path, tmp_path: Path) -> None:
    cache = Path(os.environ["CLIPSEARCH_CACHE"])
    server = start_ui(filled.text, cache=cache, log=tmp_path / "log")
    try:
        digits = content_hash((photos / "blue.png").read_bytes())
        assert _get(server.url, f"/thumbnail/{digits}").status == 200
        assert _get(server.url, "/").status == 200
    finally:
        assert server.stop() == 0
    assert (tmp_path / "log").read_text().splitlines() == ["stop with Ctrl-C", "stopped"]
