"""Files beside pictures are part of them: found, read, read again when they change, and never an obstacle."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from clipsearch.library import Library
from clipsearch.media.metadata.values import ImageMetadata
from indexer.scan import scan
from indexer.sidecars import sidecar_stamp
from indexer.watch import changed_folders
from tests.conftest import ColourEncoder, Notes, save_photo

RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" {}>{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)


def xmp(*keywords: str, attributes: str = "") -> str:
    words = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)
    return RDF.format(attributes, f"<dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject>" if keywords else "")


def takeout(seconds: int = 1258375918, **more: Any) -> str:
    return json.dumps({"photoTakenTime": {"timestamp": str(seconds)}, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def names(library: Library, line: str) -> set[str]:
    return {result.path.name for result in library.search(line, k=100)}


def metadata(library: Library, name: str) -> ImageMetadata:
    (found,) = library.search(f"path:{name}", k=2)
    return library.browse.picture(found.content_hash).metadata


def test_a_sidecar_is_read_with_its_picture_and_goes_before_what_that_has(library: Library, folder: Path) -> None:
    from PIL import Image

    embedded = xmp("inside", attributes='xmp:Rating="1" exif:DateTimeOriginal="2001-02-03T04:05:06"')
    Image.new("RGB", (40, 30), "red").save(folder / "a.jpg", xmp=embedded.encode())
    attributes = (
        'xmp:Rating="5" exif:DateTimeOriginal="1987-06-05T04:03:02" exif:GPSLatitude="35,20.5N" '
        'exif:GPSLongitude="25,8.0E"'
    )
    (folder / "a.jpg.xmp").write_text(xmp("beside", attributes=attributes))
    library.index(folder)
    found = metadata(library, "a.jpg")
    assert (found.keywords, found.rating, found.taken_at) == (("beside",), 5, datetime(1987, 6, 5, 4, 3, 2))
    assert (found.latitude, found.taken_source, found.position_source) == (35.3416667, "sidecar", "sidecar")
    assert names(library, "keyword:beside date:1987 rating:5 near:35.34,25.13,1km") == {"a.jpg"}
    assert names(library, "keyword:inside") == names(library, "date:2001") == set()


def test_a_sidecar_that_changes_alone_is_read_again_and_costs_no_inference(
    library: Library, folder: Path, encoder: ColourEncoder
) -> None:
    save_photo(folder / "a.png", "red")
    save_photo(folder / "b.png", "blue")
    library.index(folder)
    for keywords in (["one"], ["two", "three"], []):
        (folder / "a.xmp").write_text(xmp(*keywords))
        report = library.index(folder)
        assert (report.unchanged, report.sidecars, report.indexed) == (2, 1, 0)
        assert metadata(library, "a.png").keywords == tuple(keywords)
    (folder / "a.xmp").write_text(xmp("last"))
    library.index(folder)
    assert library.index(folder).sidecars == 0
    (folder / "a.xmp").unlink()
    assert library.index(folder).sidecars == 1
    assert names(library, "keyword:last") == set()
    assert encoder.embedded == 2


def test_what_the_picture_has_comes_back_when_its_sidecar_goes(library: Library, folder: Path) -> None:
    from PIL import Image

    embedded = xmp("inside", attributes='xmp:Rating="1"').encode()
    Image.new("RGB", (40, 30), "red").save(folder / "2019-02-01.jpg", xmp=embedded)
    library.index(folder)
    before = metadata(library, "2019-02-01.jpg")
    assert (before.taken_at, before.taken_source) == (datetime(2019, 2, 1), "name")
    (folder / "2019-02-01.xmp").write_text(xmp("x", attributes='xmp:Rating="3" xmp:CreateDate="1999-09-09"'))
    library.index(folder)
    assert metadata(library, "2019-02-01.jpg").taken_at == datetime(1999, 9, 9)
    (folder / "2019-02-01.xmp").unlink()
    library.index(folder)
    assert metadata(library, "2019-02-01.jpg") == before


@pytest.mark.long
def test_a_moved_picture_takes_its_sidecar_along_or_leaves_it(
    library: Library, folder: Path, encoder: ColourEncoder
) -> None:
    save_photo(folder / "a.png", "red")
    (folder / "a.png.xmp").write_text(xmp("kept"))
    library.index(folder)
    (folder / "deep").mkdir()
    for name in ("a.png", "a.png.xmp"):
        (folder / name).rename(folder / "deep" / name)
    assert library.index(folder).moved == 1
    assert names(library, "keyword:kept folder:deep") == {"a.png"}
    (folder / "deep" / "a.png").rename(folder / "b.png")
    library.index(folder)
    assert names(library, "keyword:kept") == set()
    assert encoder.embedded == 1


def test_copies_are_one_picture_whatever_is_read_first(library: Library, folder: Path) -> None:
    save_photo(folder / "b.png", "red")
    (folder / "b.png.xmp").write_text(xmp("second", attributes='xmp:Rating="2"'))
    library.index(folder)
    (folder / "a.png").write_bytes((folder / "b.png").read_bytes())
    (folder / "a.png.xmp").write_text(xmp("first"))
    library.index(folder)
    found = metadata(library, "b.png")
    assert (found.keywords, found.rating) == (("first",), 2)
    (folder / "a.png").unlink()
    library.index(folder)
    assert metadata(library, "b.png").keywords == ("second",)


def test_google_takeout_fills_what_the_picture_does_not_know(library: Library, folder: Path) -> None:
    save_photo(folder / "IMG_1.png", "red")
    save_photo(folder / "IMG_1(1).png", "blue")
    save_photo(folder / "IMG_20200102_101112.png", "green")
    place = {"latitude": 30.65, "longitude": 104.07}
    (folder / "IMG_1.png.supplemental-metadata.json").write_text(takeout(geoData=place))
    (folder / "IMG_1.png.supplemental-metadata(1).json").write_text(takeout(geoData={"latitude": 0, "longitude": 0}))
    (folder / "IMG_20200102_101112.png.suppl.json").write_text(takeout())
    library.index(folder)
    assert len(names(library, "date:2009-11-16")) == 3
    assert names(library, "near:30.65,104.07,1km") == {"IMG_1.png"}
    assert names(library, "near:0,0,50km") == set()
    (folder / "IMG_1.xmp").write_text(xmp(attributes='exif:DateTimeOriginal="1987-06-05"'))
    library.index(folder)
    assert metadata(library, "IMG_1.png").taken_source == "sidecar"
    assert metadata(library, "IMG_1.png").position_source == "takeout"


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa">' + "".join(f'<!ENTITY a{n} "{"&a;" * 9}">' for n in range(9)) + "]><x>&a8;</x>"
HOSTILE: dict[str, tuple[str, bytes, str]] = {
    "billion laughs": ("a.png.xmp", BOMB.encode(), "document type"),
    "cut": ("a.png.xmp", xmp("gone").encode()[:200], "damaged"),
    "empty": ("a.png.xmp", b"", "empty"),
    "no XML": ("a.png.xmp", b"\x89PNG\r\n", "no XML"),
    "zeros": ("a.png.xmp", bytes(5000), "no XML"),
    "deep": ("a.png.xmp", b"<a>" * 100_000, "damaged"),
    "huge XMP": ("a.png.xmp", xmp("gone").encode() + b" " * (5 * 2**20), "larger"),
    "no JSON": ("a.png.json", b"{", "damaged"),
    "deep JSON": ("a.png.json", b"[" * 100_000, "damaged"),
    "huge JSON": ("a.png.json", takeout().encode() + b" " * (5 * 2**20), "larger"),
}


@pytest.mark.parametrize(("name", "content", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_sidecar_that_cannot_be_read_is_passed_over_with_its_reason(
    library: Library, notes: Notes, folder: Path, name: str, content: bytes, reason: str
) -> None:
    save_photo(folder / "a.png", "red")
    (folder / name).write_bytes(content)
    report = library.index(folder)
    assert (report.embedded, report.failures) == (1, [])
    (line,) = [note for note in notes if name in note]
    assert reason in line and "\n" not in line
    assert library.index(folder).sidecars == 0  # nothing has changed: it is not read again


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", b'{"photoTakenTime": 3}', b'{"photoTakenTime": {"timestamp": [1]}, "geoData": "here", "people": 7}'],
)
def test_json_with_other_things_in_it_says_nothing(
    library: Library, notes: Notes, folder: Path, content: bytes
) -> None:
    save_photo(folder / "a.png", "red")
    (folder / "a.png.json").write_bytes(content)
    assert library.index(folder).embedded == 1
    assert not [note for note in notes if "sidecar" in note]
    assert metadata(library, "a.png").taken_at is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file kinds")
def test_what_only_looks_like_a_sidecar_is_no_obstacle_and_tried_again(
    library: Library, notes: Notes, folder: Path
) -> None:
    for name in "abc":
        save_photo(folder / f"{name}.png", "red", size=(30 + ord(name), 20))
    os.mkfifo(folder / "a.png.xmp")
    (folder / "b.png.xmp").mkdir()
    (folder / "c.png.xmp").symlink_to(folder / "nowhere")
    assert library.index(folder).embedded == 3
    assert len([note for note in notes if "sidecar" in note]) == 3
    (folder / "nowhere").write_text(xmp("there"))
    library.index(folder)
    assert names(library, "keyword:there") == {"c.png"}


def test_each_sidecar_is_looked_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.jpg", "b.cr2", "b.tif", "c.jpg"):
        (folder / name).write_bytes(b"x")
    for name in ("b.xmp", "b.jpg.xmp", "other.xmp", "package.json"):
        (folder / name).write_text("x")
    looked_at: list[str] = []

    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self._entry = entry
            self.name, self.path = entry.name, entry.path
            self.is_dir, self.is_symlink = entry.is_dir, entry.is_symlink

        def stat(self) -> os.stat_result:
            looked_at.append(self.name)
            return self._entry.stat()

    class Listing(list[Entry]):
        def __enter__(self) -> Listing:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    scandir: Callable[..., Any] = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Listing(map(Entry, scandir(path))))
    files = {file.relative_path: file for file in scan(folder, on_error=pytest.fail)}
    assert sorted(looked_at) == ["b.cr2", "b.jpg", "b.jpg.xmp", "b.tif", "b.xmp", "c.jpg"]
    assert [sidecar.name for sidecar in files["b.jpg"].sidecars] == ["b.jpg.xmp", "b.xmp"]
    assert [sidecar.name for sidecar in files["b.cr2"].sidecars] == ["b.xmp"]
    assert sidecar_stamp(files["c.jpg"].sidecars) is None
    assert sidecar_stamp(files["b.cr2"].sidecars) == sidecar_stamp(files["b.tif"].sidecars) is not None


def test_a_watched_folder_is_indexed_when_a_sidecar_changes(tmp_path: Path) -> None:
    from watchfiles import Change

    from indexer.watch import _PicturesAndFolders

    passes = _PicturesAndFolders()
    assert passes(Change.modified, str(tmp_path / "a.jpg.XMP"))
    assert passes(Change.deleted, str(tmp_path / "a.jpg.supplemental-metadata.json"))
    assert not passes(Change.modified, str(tmp_path / "a.txt"))
    assert changed_folders([tmp_path / "a.jpg.xmp"], [tmp_path]) == [tmp_path]


def test_a_dry_run_reads_no_sidecar(library: Library, notes: Notes, folder: Path) -> None:
    save_photo(folder / "a.png", "red")
    library.index(folder)
    (folder / "a.png.xmp").write_text("no XMP")
    assert library.preview_index(folder).unchanged == 1
    assert not [note for note in notes if "sidecar" in note]
