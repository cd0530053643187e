"""`RemoteLibrary`: the same values as the local library, and its errors."""

from __future__ import annotations

import http.server
import io
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.full_text import OcrLine
from clipsearch.errors import ClipSearchError, ConfigError, ImageReadError, LibraryError, QueryError
from clipsearch.library import Library
from clipsearch.media.box import Box
from clipsearch.media.decoding import content_hash
from clipsearch.media.segments import WHOLE_IMAGE
from clipsearch.retrieval.results import SearchResult
from clipsearch.server.client.connection import ServerConnection
from clipsearch.server.client.library import RemoteLibrary
from clipsearch.server.settings import Limits
from tests.conftest import save_photo
from tests.server.conftest import Served, over_http


def as_sent(results: list[SearchResult]) -> list[SearchResult]:
    """Results as JSON has them: scores are rounded, and previews are the server's."""
    return [
        replace(
            result,
            score=round(result.score, 6) if result.score is not None else None,
            probability=round(result.probability, 4) if result.probability is not None else None,
            thumbnail=Path(f"/v1/thumbnails/{result.content_hash}") if result.thumbnail is not None else None,
        )
        for result in results
    ]


@pytest.fixture
def richer(indexed: Library, photos: Path) -> Library:
    """With a picture that says much of itself, a copy, a version and a panorama."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x4746] = "Secret", "Camera 1", 4
    exif.get_ifd(0x8769)[0x9003] = "2021:05:04 12:30:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (35.0, 18.0, 0.0), 3: "E", 4: (25.0, 6.0, 0.0)})
    save_photo(photos / "tagged.jpg", "orange", size=(300, 200))
    with Image.open(photos / "tagged.jpg") as image:
        image.save(photos / "tagged.jpg", exif=exif)
    shutil.copy(photos / "red.png", photos / "red again.png")
    wide = np.zeros((60, 400, 3), np.uint8)
    wide[:, 300:] = (255, 0, 255)
    Image.fromarray(wide).save(photos / "wide.png")
    indexed.index(photos)
    store, tagged = Catalog(indexed.path), indexed.search("path:tagged.jpg")[0].content_hash
    store.texts.write({tagged: [OcrLine(WHOLE_IMAGE, "Kafé 42", 0.9375, "latin", (3, 4, 50, 6))]}, reader="test")
    store.close()
    return indexed


def test_searches_are_those_of_the_library(remote: RemoteLibrary, richer: Library) -> None:
    digits = richer.search("red", k=1)[0].content_hash
    for line in ("red", "green -red", "blue ext:png", "ext:png", f"~#{digits[:12]} -green", "camera:secret", "magenta"):
        assert remote.search(line, k=4, offset=1) == as_sent(richer.search(line, k=4, offset=1))
    assert remote.search("red", sort="path", sort_window=5, k=2, offset=2) == as_sent(
        richer.search("red", sort="path", sort_window=5, k=2, offset=2)
    )
    assert remote.search("red", group="copies") == as_sent(richer.search("red", group="copies"))
    assert remote.search("red", group="copies")[0].copies
    assert remote.search("red", group="duplicates") == as_sent(richer.search("red", group="duplicates"))
    assert remote.search("red", min_match="possible") == as_sent(richer.search("red", min_match="possible"))
    assert any(result.part is not None for result in remote.search("magenta"))
    found = remote.search("kafe", k=2)
    assert found == as_sent(richer.search("kafe", k=2)) and found[0].matched[0].box == Box(3, 4, 50, 6)
    assert remote.search("kafe", by="text") == as_sent(richer.search("kafe", by="text")) != []
    assert remote.search("red 2015").notices == richer.search("red 2015").notices != ()


def test_likenesses_are_those_of_the_library(remote: RemoteLibrary, richer: Library) -> None:
    digits = richer.search("orange", k=1)[0].content_hash
    for reference in (f"~#{digits}", f"~#{digits[:12]}"):
        assert remote.similar(reference, k=3) == as_sent(richer.similar(reference, k=3))
    box = Box.parse("10%,10%,50%,50%")
    assert remote.similar(f"~#{digits[:12]}", box=box, where="ext:png") == as_sent(
        richer.similar(f"~#{digits}", box=box, where="ext:png")
    )
    with pytest.raises(QueryError, match="outside"):
        remote.similar(f"~#{digits}", box=Box.parse("290,0,20,20"))
    with pytest.raises(QueryError, match="no picture"):
        remote.similar("~#000000000000")


def test_pictures_facets_and_versions_are_those_of_the_library(remote: RemoteLibrary, richer: Library) -> None:
    digits = richer.search("orange", k=1)[0].content_hash
    expected = richer.browse.picture(digits)
    assert expected.lines and expected.metadata.camera and expected.metadata.taken_at and expected.metadata.latitude
    assert remote.browse.picture(digits) == replace(expected, thumbnail=Path(f"/v1/thumbnails/{digits}"))
    assert remote.browse.facets() == richer.browse.facets() and remote.browse.facets().cameras
    assert remote.browse.facets("ext:png") == richer.browse.facets("ext:png") != richer.browse.facets()
    assert remote.duplicates.versions_of(digits) == richer.duplicates.versions_of(digits)
    assert remote.revision() == richer.revision()
    for digits in ("0" * 32, "abc", "../../v1/status", "", "٠" * 32):
        with pytest.raises(QueryError):
            remote.browse.picture(digits)


def test_a_change_is_seen(
    remote: RemoteLibrary, indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = remote.revision()
    save_photo(photos / "new.png", "purple")
    indexed.index(photos)
    assert remote.search("purple", k=1)[0].path == photos / "new.png"
    monkeypatch.setattr("clipsearch.server.client.library._REVISION_AGE_S", 0.0)
    assert remote.revision() == indexed.revision() > before


@pytest.mark.long
def test_pictures_of_this_machine_are_sent_along(remote: RemoteLibrary, indexed: Library, tmp_path: Path) -> None:
    mine = save_photo(tmp_path / "mine" / "it's mine.png", (250, 10, 10), size=(90, 60))
    known = tmp_path / "mine" / "known.png"
    shutil.copy(indexed.search("green", k=1)[0].path, known)
    for line in (f'~"{mine}"', f'blue -0.5:~"{mine}"', f'~{known} ~"{mine}" ext:png', f"~{known} ~{known}"):
        expected = as_sent(indexed.search(line))
        found = remote.search(line)
        assert [result.path for result in found] == [result.path for result in expected]
        assert [result.score for result in found] == pytest.approx([result.score for result in expected], abs=2e-3)
    assert known.read_bytes() not in [result.path.read_bytes() for result in remote.search(f"~{known}")]
    for line, error in ((f"~{tmp_path / 'nothing.png'}", ImageReadError), (f"~{Path(__file__)}", QueryError)):
        with pytest.raises(error):
            remote.search(line)


def test_what_the_server_shows_is_delivered(remote: RemoteLibrary, richer: Library, photos: Path) -> None:
    digits = content_hash((photos / "tagged.jpg").read_bytes())
    preview, view = remote.browse.preview(digits), remote.browse.large_view(digits)
    assert preview.is_preview and not view.is_preview
    for jpeg in (preview.jpeg, view.jpeg):
        assert Image.open(io.BytesIO(jpeg)).size == (300, 200) and b"Secret" not in jpeg
    (result, *_) = richer.search("orange", k=1)
    for found in (remote.explain(result, "orange"), remote.explain(result, like=f"~#{digits[:12]}")):
        assert found.overlay().size == (300, 200) and not found.from_preview
    boxed = remote.explain(result, like=f"~#{digits[:12]}", box=Box.parse("0%,0%,50%,50%"))
    assert boxed.jpeg != b""
    (photos / "tagged.jpg").unlink()
    assert remote.browse.large_view(digits).is_preview
    assert remote.explain(result, "orange").from_preview
    with pytest.raises(QueryError, match="texts and pictures of its library"):
        remote.explain(result, f"~{photos / 'red.png'}")
    with pytest.raises(QueryError, match="filters"):
        remote.explain(result, "ext:png")


def test_a_mistake_keeps_its_place(remote: RemoteLibrary, indexed: Library) -> None:
    for line in ("red @nobody", "~#abcdef012345"):
        with pytest.raises(QueryError) as here:
            indexed.search(line)
        with pytest.raises(QueryError) as there:
            remote.search(line)
        assert (str(there.value), there.value.position) == (str(here.value), here.value.position)
    with pytest.raises(QueryError, match="offset"):
        remote.search("red", offset=10**6)


def test_tokens_open_what_they_are_for(serve: Callable[..., Served], tokens: dict[str, str], indexed: Library) -> None:
    digits = indexed.search("red", k=1)[0].content_hash
    with over_http(serve().app) as url:
        libraries = {name: RemoteLibrary(ServerConnection(url, token=token)) for name, token in tokens.items()}
        libraries |= {
            "none": RemoteLibrary(ServerConnection(url)),
            "wrong": RemoteLibrary(ServerConnection(url, token="x")),
        }
        assert libraries["all"].browse.large_view(digits).jpeg and libraries["read"].search("red", k=1)
        assert libraries["read"].browse.large_view(digits).is_preview, "more than the preview is not for this token"
        with pytest.raises(ConfigError, match="scope images"):
            libraries["read"].explain(indexed.search("red", k=1)[0], "red")
        with pytest.raises(ConfigError, match="scope read"):
            libraries["metrics"].search("red")
        with pytest.raises(ConfigError, match=r"requires a token; .* --server-token-file"):
            libraries["none"].revision()
        with pytest.raises(ConfigError, match="does not accept the token"):
            libraries["wrong"].revision()
        for library in libraries.values():
            library.close()


@pytest.mark.long
def test_a_server_that_is_asked_too_often_is_asked_again(serve: Callable[..., Served], indexed: Library) -> None:
    digits = indexed.search("red", k=1)[0].content_hash
    with over_http(serve(limits=Limits(requests_per_s=2.0)).app) as url:
        remote = RemoteLibrary(ServerConnection(url))
        for _ in range(12):  # ten at once, then two a second
            assert remote.browse.preview(digits).jpeg
        remote.close()


class _Other(http.server.BaseHTTPRequestHandler):
    """A server of something else, which also tries to lead the token away."""

    answer: tuple[int, bytes] = (200, b"<html>")

    def do_GET(self) -> None:
        self.send_response(self.answer[0])
        self.send_header("location", "http://127.0.0.1:9/")
        self.send_header("content-length", str(len(self.answer[1])))
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def other(status: int, body: bytes) -> Iterator[str]:
    handler = type("Handler", (_Other,), {"answer": (status, body)})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "cannot parse the server's response"),
        (200, b"[]", "cannot parse the server's response"),
        (200, b'{"revision": "many"}', "cannot parse the server's response"),
        (302, b"", "does not respond like clipsearch serve"),
        (404, b"", "does not respond like clipsearch serve"),
        (500, b"<html>", "does not respond like clipsearch serve"),
    ],
)
def test_another_server_is_told_from_ours(status: int, body: bytes, said: str) -> None:
    with other(status, body) as url:
        library = RemoteLibrary(ServerConnection(url, token="secret"))
        with pytest.raises(LibraryError, match=said) as raised:
            library.revision()
        assert "secret" not in str(raised.value)
        library.close()


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    library = RemoteLibrary(ServerConnection(f"http://127.0.0.1:{port}"))
    with pytest.raises(LibraryError, match=rf"the server http://127\.0\.0\.1:{port} cannot be reached \(.*refused\)"):
        library.search("red")
    library.close()


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("photos.example:8600", None),
        ("ftp://photos.example", None),
        ("http://", None),
        ("http://[::1", None),
        ("http://photos.example:many", None),
        ("http://anna:secret@photos.example", None),
        ("http://photos.example/?token=secret", None),
        ("http://photos.example", "two words"),
        ("http://photos.example", "tab\tbed"),
        ("http://photos.example", "schlüssel"),
    ],
)
def test_addresses_and_tokens_that_will_not_do_are_told(url: str, token: str | None) -> None:
    with pytest.raises(ClipSearchError) as raised:
        ServerConnection(url, token=token)
    assert isinstance(raised.value, ConfigError) and "secret" not in str(raised.value)


def test_a_server_below_another_path_is_asked_there() -> None:
    assert ServerConnection("https://photos.example/clip/").url == "https://photos.example/clip"
