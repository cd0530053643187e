"""Files by their names and their first bytes, and which page of a TIFF is the picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.library import Library
from clipsearch.media.decoding import decode_image
from clipsearch.media.formats import HEAD_BYTES, PICTURE, kind_by_head, kind_by_name
from tests.conftest import ColourEncoder

RED, BLUE = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (640, 480), "blue")


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.JPG", PICTURE),
        ("a.nrw", PICTURE),
        ("a.psd", "psd"),
        ("A.MOV", "mov"),
        ("a.xmp", ""),
        ("a.jpg.crdownload", ""),
        ("a.jpg~", None),
        ("a.jpg_large", None),
        ("photo", None),
        ("a.insp", None),
    ],
)
def test_kinds_by_name(name: str, kind: str | None) -> None:
    assert kind_by_name(name) == kind


@pytest.mark.parametrize(
    "file_format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000", "PPM", "ICO", "ICNS"]
)
def test_every_format_that_is_read_is_known_by_its_first_bytes(file_format: str) -> None:
    decode_image(saved(RED, "PNG"))  # registers HEIC
    content = saved(RED.resize((64, 64)), file_format)
    assert kind_by_head(content[:HEAD_BYTES]) == PICTURE
    assert decode_image(content).format == file_format


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"8BPS\0\1" + bytes(50), "psd"),
        (b"%PDF-1.7\n", "pdf"),
        (b'<?xml version="1.0"?>\n<!-- made -->\n<svg xmlns=', "svg"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "mov"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx ", PICTURE),
        (b"\xff\x0a" + bytes(30), "jxl"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"BMW is no bitmap, whatever its letters", ""),
        (b"P1 is the first of the points", ""),
        (b"12345678WEBP without RIFF", ""),
        (b"", ""),
        (b"#!/bin/sh\n", ""),
    ],
)
def test_kinds_by_first_bytes(head: bytes, kind: str) -> None:
    assert kind_by_head(head) == kind


@pytest.fixture
def library(tmp_path: Path, encoder: ColourEncoder) -> Iterator[Library]:
    with Library.open(tmp_path / "library", create=True, encoder=encoder) as library:
        yield library


def test_pictures_of_any_name_are_indexed_and_other_kinds_counted(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shades = iter(range(10, 250, 20))
    for name, file_format in {
        "a.jpg_large": "JPEG",
        "b": "PNG",
        "c.jpg~": "JPEG",
        "d.insp": "JPEG",
        "e.JPG": "PNG",
        "f.jfif": "JPEG",
        "g.mystery": "WEBP",
    }.items():
        (folder / name).write_bytes(saved(Image.new("RGB", (9, 9), (next(shades), 0, 0)), file_format))
    for name, content in {
        "drawing.psd": b"x",
        "drawing.PSD": b"x",
        "v.svg": b"<svg/>",
        "README": b"a text",
        "nameless": b"%PDF-1.4",
        "empty": b"",
        "notes.txt": b"a text",
    }.items():
        (folder / name).write_bytes(content)
    report = library.index(folder)
    assert (report.indexed, report.failures) == (7, [])
    assert report.unread == {"psd": 2, "pdf": 1, "svg": 1}
    assert library.status().unread == {"psd": 2, "pdf": 1, "svg": 1}

    def refuse(*_: object) -> bytes:
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patch:
        patch.setattr("indexer.plan.read_head", refuse)  # what has not changed is not opened again
        again = library.index(folder)
    assert (again.indexed, again.unchanged, again.unread) == (0, 7, report.unread)

    (folder / "README").write_bytes(saved(RED, "JPEG"))
    (folder / "b").write_bytes(b"no picture any more")
    (folder / "drawing.psd").unlink()
    report = library.index(folder)
    assert (report.indexed, report.removed, report.unread) == (1, 1, {"psd": 1, "pdf": 1, "svg": 1})


def tiff(*pages: Image.Image, first_tags: dict[int, object] | None = None) -> bytes:
    return saved(pages[0], "TIFF", save_all=True, append_images=list(pages[1:]), tiffinfo=first_tags or {})


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (tiff(RED, BLUE, first_tags={254: 1}), (640, 480)),
        (tiff(RED, BLUE), (640, 480)),
        (tiff(BLUE, RED), (640, 480)),
        (tiff(RED, RED.resize((70, 50))), (64, 48)),  # pages of a document
        (tiff(RED, BLUE, first_tags={254: 2}), (64, 48)),
        (tiff(RED.resize((32, 24)), BLUE, RED), (640, 480)),
        (tiff(RED), (64, 48)),
        (tiff(BLUE, BLUE.convert("1"), first_tags={254: 4}), (640, 480)),
    ],
)
def test_the_largest_page_of_full_resolution_is_the_picture(content: bytes, size: tuple[int, int]) -> None:
    decoded = decode_image(content)
    assert (decoded.width, decoded.height) == size


def test_the_first_page_says_when_and_how_the_picture_was_taken() -> None:
    decoded = decode_image(tiff(RED, BLUE, first_tags={254: 1, 271: "Maker", 272: "Model", 274: 6}))
    assert decoded.metadata.camera == "Maker Model"
    assert (decoded.width, decoded.height, decoded.image.size) == (480, 640, (480, 640))
