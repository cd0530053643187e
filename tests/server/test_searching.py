"""What the routes that find pictures answer."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from clipsearch.retrieval.results import result_to_json
from clipsearch.server.settings import Limits
from tests.conftest import ROOT, save_photo
from tests.server.conftest import Served

DOCUMENT = (ROOT / "docs" / "output.md").read_text(encoding="utf-8")
SCHEMA = json.loads(re.findall(r"^```json\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)[0])


def _names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [Path(result["path"]).name for result in answer.json()["results"]]


def test_a_search_is_that_of_the_library(client: TestClient, indexed: Library) -> None:
    for query in ("red", "green -red", "blue ext:png", "ext:png", '2:red "white wall"'):
        expected = [
            {**result_to_json(result), "thumbnail": result.thumbnail and f"/v1/thumbnails/{result.content_hash}"}
            for result in indexed.search(query, k=4, offset=1)
        ]
        asked = {"query": query, "k": 4, "offset": 1}
        assert client.get("/v1/search", params=asked).json()["results"] == expected
        assert client.post("/v1/search", json=asked).json()["results"] == expected


def test_notices_come_with_the_results(client: TestClient) -> None:
    offered = client.get("/v1/search", params={"query": "red september 2015"}).json()
    assert len(offered["results"]) == 6 and "date:2015-09" in offered["notices"][0]
    assert client.get("/v1/search", params={"query": "?!"}).json() == {
        "results": [],
        "notices": ["there are no words in '?!'; describe the pictures, or use a filter"],
    }
    assert client.post("/v1/search", json={"query": "red"}).json()["notices"] == []


def test_results_are_as_documented(client: TestClient) -> None:
    results = client.get("/v1/search", params={"query": "red"}).json()["results"]
    assert len(results) == 6
    for result in results:
        Draft202012Validator(SCHEMA).validate(result)


def test_the_order_and_the_minimum_are_those_asked_for(client: TestClient, indexed: Library) -> None:
    by_path = _names(client.get("/v1/search", params={"query": "red", "sort": "path"}))
    assert by_path == [result.path.name for result in indexed.search("red", sort="path")]
    strong = _names(client.get("/v1/search", params={"query": "red", "min_match": "strong"}))
    assert strong == [result.path.name for result in indexed.search("red", min_match="strong")]


def test_copies_are_one_result_if_asked(client: TestClient, indexed: Library, photos: Path) -> None:
    (photos / "again.png").write_bytes((photos / "red.png").read_bytes())
    indexed.index(photos)
    (first, *_) = client.get("/v1/search", params={"query": "red", "group": "duplicates"}).json()["results"]
    assert [Path(path).name for path in first["copies"]] == ["red.png"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"query": "camra:fuji"}, "camera"),
    ({"query": '"red'}, "quote"),
    ({"query": "~/etc/passwd"}, "paths are not accepted"),
    ({"query": "red 0.5:~./photo.jpg"}, "paths are not accepted"),
    ({"query": '-~"C:\\x.jpg"'}, "paths are not accepted"),
    ({"query": "~#abcdef012345"}, "no picture"),
    ({"query": "@nobody"}, "nobody"),
    ({"query": ""}, "query"),
    ({"query": " "}, ""),
    ({"query": "x" * 2001}, "2000"),
    ({"query": "red", "k": 0}, "k"),
    ({"query": "red", "k": 501}, "500"),
    ({"query": "red", "k": "many"}, "k"),
    ({"query": "red", "offset": -1}, "offset"),
    ({"query": "red", "offset": 10**30}, "offset"),
    ({"query": "red", "sort": "size"}, "sort"),
    ({"query": "red", "limit": 3}, "limit"),
    ({}, "query"),
]


def test_what_is_wrong_is_told_as_a_problem(client: TestClient) -> None:
    for asked, said in WRONG:
        for answer in (client.get("/v1/search", params=asked), client.post("/v1/search", json=asked)):
            assert answer.status_code == 422, asked
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == 422 and said in problem["detail"], asked


def test_the_place_of_a_mistake_is_told(client: TestClient) -> None:
    answer = client.get("/v1/search", params={"query": "red camra:fuji"})
    assert answer.json()["position"] == 4


def test_bodies_that_are_no_search_are_told(client: TestClient) -> None:
    for body in (b"", b"{", b"null", b"[]", b'"red"', b'{"query": "\\ud800"}', b"\xff\xfe", b"[" * 60_000):
        answer = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), body[:20]
        assert answer.headers["content-type"] == "application/problem+json"


def test_pictures_of_the_library_stand_in_queries(client: TestClient, indexed: Library) -> None:
    digits = indexed.search("red", k=1)[0].content_hash
    asked = {"query": f"~#{digits[:8]} -green"}
    assert _names(client.get("/v1/search", params=asked)) == [
        result.path.name for result in indexed.search(asked["query"])
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_come_as_documented(client: TestClient, indexed: Library, photos: Path) -> None:
    odd = photos / "odd\udce9.png"
    save_photo(photos / "odd.png", "red", size=(40, 40)).rename(odd)
    indexed.index(photos)
    answer = client.get("/v1/search", params={"query": "path:odd*"})
    assert answer.content.isascii() and _names(answer) == [odd.name]
    digits = answer.json()["results"][0]["content_hash"]
    assert client.get(f"/v1/pictures/{digits}").json()["files"][0]["path"] == str(odd)


# --- by example ---------------------------------------------------------------------------------------


def test_similar_is_that_of_the_library(client: TestClient, indexed: Library) -> None:
    digits = indexed.search("red", k=1)[0].content_hash
    expected = [result.path.name for result in indexed.similar(f"~#{digits}", k=3)]
    assert _names(client.get(f"/v1/pictures/{digits}/similar", params={"k": 3})) == expected
    filtered = client.get(f"/v1/pictures/{digits}/similar", params={"where": "ext:webp"})
    assert _names(filtered) == ["black.webp"]
    wrong = client.get(f"/v1/pictures/{digits}/similar", params={"where": "blue"})
    assert wrong.status_code == 422 and "accepts filters only" in wrong.json()["detail"]
    assert client.get(f"/v1/pictures/{'0' * 32}/similar").status_code == 404
    assert client.get("/v1/pictures/abcdef/similar").status_code == 422


def test_a_picture_that_is_sent_finds_what_is_like_it(client: TestClient, indexed: Library, tmp_path: Path) -> None:
    sent = save_photo(tmp_path / "sent" / "sent.png", (250, 10, 10), size=(300, 200))
    expected = [result.path.name for result in indexed.similar(sent, k=3)]
    with sent.open("rb") as file:
        answer = client.post("/v1/similar", params={"k": 3}, files={"image": ("x.bin", file)})
    assert _names(answer) == expected
    stored = indexed.path.parent / "photos" / "red.png"
    answer = client.post("/v1/similar", files={"image": ("red.png", stored.read_bytes())})
    assert _names(answer) == [result.path.name for result in indexed.similar(stored)], "itself is left out"
    assert "red.png" not in _names(answer)


def _bomb() -> bytes:
    """A small file of a picture with 400 megapixels."""
    import io

    from PIL import Image

    written = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(written, "PNG")
    return written.getvalue()


@pytest.mark.long
def test_bombs_and_junk_that_are_sent_are_refused(client: TestClient) -> None:
    for content, said in ((_bomb(), "too large"), (b"junk", "not a picture"), (b"", "empty"), (b"\xff\xd8\xff", "")):
        answer = client.post("/v1/similar", files={"image": ("sent.png", content)})
        assert answer.status_code == 422 and said in answer.json()["detail"]
        assert "/" not in answer.json()["detail"].replace("at most", ""), "nothing about this machine"
    assert client.post("/v1/similar", files={"other": ("x", b"x")}).status_code == 422
    assert client.post("/v1/similar", data={"image": "no file"}).status_code == 422
    assert client.post("/v1/similar").status_code == 422


def test_nothing_that_is_sent_is_kept(
    serve: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    served = serve()
    with served.client() as client:
        sent = save_photo(tmp_path / "sent.png", "red", size=(20, 20)).read_bytes()
        assert client.post("/v1/similar", files={"image": ("x.png", sent)}).status_code == 200
        (folder,) = temporary.glob("clipsearch-*")
        assert folder.is_dir() and not list(folder.iterdir())
    assert not list(temporary.glob("clipsearch-*"))


def _send(client: TestClient, query: str, *contents: bytes, **options: object) -> Any:
    images = [("images", (f"{number}.png", content)) for number, content in enumerate(contents)]
    return client.post("/v1/search/pictures", params=options, data={"query": query}, files=images)


def test_pictures_that_are_sent_stand_in_a_query(client: TestClient, indexed: Library, tmp_path: Path) -> None:
    sent = save_photo(tmp_path / "sent" / "sent.png", (250, 10, 10), size=(300, 200))
    stored = indexed.path.parent / "photos" / "red.png"
    for query in ("~1", "blue -~1 ext:png", "2:~1 -0.5:~2", "~2 ~1 ~1"):
        contents = [sent.read_bytes(), stored.read_bytes()] if "~2" in query else [sent.read_bytes()]
        expected = indexed.search(query.replace("~1", f"~{sent}").replace("~2", f"~{stored}"), k=4)
        answer = _send(client, query, *contents, k=4)
        assert _names(answer) == [result.path.name for result in expected], query
    assert "red.png" not in _names(_send(client, "~1", stored.read_bytes())), "itself is left out"


def test_a_query_names_what_is_sent_and_nothing_else(client: TestClient, photos: Path) -> None:
    red = (photos / "red.png").read_bytes()
    for query in ("red", "~2", "~1 ~2", f"~1 ~{photos / 'red.png'}", "~1 ~/etc/passwd", "~01", "~#1", "camra:x ~1", ""):
        answer = _send(client, query, red)
        assert answer.status_code == 422, query
        assert str(photos) not in answer.text
    assert _send(client, "~1", *[red] * 9).status_code == 422
    assert _send(client, "~1").status_code == 422
    for content, said in ((_bomb(), "too large"), (b"junk", "not a picture"), (b"", "empty")):
        answer = _send(client, "~1 red", content)
        assert answer.status_code == 422 and said in answer.json()["detail"]
    assert _send(client, "~1 red", red, min_match="strong").status_code == 422


def test_pictures_that_are_sent_are_no_larger_together_than_one_may_be(serve: Callable[..., Served]) -> None:
    with serve(limits=Limits(upload_mib=1)).client() as client:
        assert _send(client, "~1 ~2", b"x" * 600_000, b"x" * 600_000).status_code == 413


# --- saved searches -----------------------------------------------------------------------------------


def test_saved_searches_are_listed_and_run(client: TestClient, indexed: Library, photos: Path) -> None:
    assert client.get("/v1/saved").json() == {"saved": []}
    indexed.saved.add("reds / 1", "red ext:png")
    indexed.saved.add("by a file", f"~{photos / 'red.png'}")
    assert [saved["name"] for saved in client.get("/v1/saved").json()["saved"]] == ["by a file", "reds / 1"]
    assert _names(client.get("/v1/saved/reds%20%2F%201", params={"k": 2})) == [
        result.path.name for result in indexed.search("red ext:png", k=2)
    ]
    assert client.get("/v1/saved/by%20a%20file").status_code == 422, "nor are files of the owner's searches read"
    assert client.get("/v1/saved/nothing").status_code == 404


def test_details_say_what_is_known(client: TestClient, indexed: Library, photos: Path) -> None:
    digits = content_hash((photos / "red.png").read_bytes())
    details = client.get(f"/v1/pictures/{digits}").json()
    assert details["content_hash"] == digits and (details["width"], details["height"]) == (48, 32)
    assert [file["path"] for file in details["files"]] == [str(photos / "red.png")]
    assert client.get(f"/v1/pictures/{'0' * 32}").status_code == 404
