"""Pictures by content hash: what is delivered, what of the file is not, and what is not found."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from clipsearch.browse.display_images import VIEW_SIDE
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, thumbnail_path
from tests.conftest import save_photo
from tests.server.conftest import Served

MAKE, ORIENTATION = 0x010F, 0x0112


@pytest.fixture
def telling(tmp_path: Path, indexed: Library) -> Path:
    """A large picture of the library that says who made it, and stands on its side."""
    path = tmp_path / "more" / "telling 1.jpg"
    path.parent.mkdir()
    pixels = np.random.default_rng(5).integers(0, 255, size=(300, 500, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Secret Camera", 6
    Image.fromarray(pixels).resize((2500, 1500)).save(path, exif=exif, comment=b"secret comment")
    indexed.index(path.parent)
    return path


def test_previews_and_views_say_nothing_of_the_file(client: TestClient, telling: Path) -> None:
    digits = content_hash(telling.read_bytes())
    for route, side in (("thumbnails", THUMBNAIL_SIDE), ("images", VIEW_SIDE)):
        answer = client.get(f"/v1/{route}/{digits}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (round(side * 3 / 5), side) and not image.getexif()
        assert b"ecret" not in answer.content
        assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_file_itself_needs_a_scope(serve: Callable[..., Served], telling: Path, tokens: dict[str, str]) -> None:
    served = serve()
    address = f"/v1/originals/{content_hash(telling.read_bytes())}"
    for name in ("read", "images", "metrics"):
        refused = served.client(tokens[name]).get(address)
        assert refused.status_code == 403 and 'scope="originals"' in refused.headers["www-authenticate"]
    for name in ("originals", "all"):
        answer = served.client(tokens[name]).get(address)
        assert answer.content == telling.read_bytes()
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''telling%201.jpg"
        assert answer.headers["content-type"] == "application/octet-stream"


def test_without_tokens_files_are_not_given_out(client: TestClient, telling: Path) -> None:
    answer = client.get(f"/v1/originals/{content_hash(telling.read_bytes())}")
    assert answer.status_code == 403 and "token" in answer.json()["detail"]


def test_without_its_drive_the_preview_stands_in_for_a_while(
    serve: Callable[..., Served], telling: Path, tokens: dict[str, str]
) -> None:
    client, digits = serve().client(tokens["all"]), content_hash(telling.read_bytes())
    shutil.move(telling.parent, telling.parent.with_name("away"))
    answer = client.get(f"/v1/images/{digits}")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == THUMBNAIL_SIDE
    assert "immutable" not in answer.headers["cache-control"]
    refused = client.get(f"/v1/originals/{digits}")
    assert refused.status_code == 404 and str(telling.parent) not in refused.text


def test_a_file_that_holds_something_else_by_now_is_not_shown(
    serve: Callable[..., Served], indexed: Library, telling: Path, tokens: dict[str, str]
) -> None:
    client, digits = serve().client(tokens["all"]), content_hash(telling.read_bytes())
    save_photo(telling, "green", size=(600, 400))
    assert client.get(f"/v1/originals/{digits}").status_code == 404
    thumbnail_path(indexed.path, digits).unlink()
    assert client.get(f"/v1/images/{digits}").status_code == 404
    assert client.get(f"/v1/thumbnails/{digits}").status_code == 404


def test_what_the_library_has_forgotten_is_not_delivered(client: TestClient, indexed: Library, telling: Path) -> None:
    digits = content_hash(telling.read_bytes())
    indexed.maintenance.forget(telling)
    assert thumbnail_path(indexed.path, digits).exists()
    for route in ("thumbnails", "images", "pictures"):
        assert client.get(f"/v1/{route}/{digits}").status_code == 404


HOSTILE = (
    "../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cwindows%5cwin.ini",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd",
    "catalog.sqlite3",
    "tokens.json",
    "0" * 31,
    "0" * 32,
    "0" * 33,
    "0" * 31 + "g",
    "A" * 32,
    "0" * 32 + "%00",
    "0" * 32 + "%0a",
    "0" * 32 + ".jpg",
    "%d9%a0" * 32,
    "x" * 5000,
)


def test_no_path_of_this_machine_is_ever_read(
    serve: Callable[..., Served], indexed: Library, tokens: dict[str, str]
) -> None:
    client = serve().client(tokens["all"])
    for asked in HOSTILE:
        for route in ("thumbnails", "images", "originals", "pictures"):
            answer = client.get(f"/v1/{route}/{asked}")
            assert answer.status_code in (404, 422), asked
            assert b"root:" not in answer.content and b"SQLite" not in answer.content
            assert answer.headers["content-type"] == "application/problem+json"
