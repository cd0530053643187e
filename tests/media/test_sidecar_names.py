"""Which file beside a picture goes with it, by the habits of the programs that write it."""

from __future__ import annotations

import unicodedata

import pytest

from clipsearch.media.metadata.sidecar_names import is_sidecar, match_sidecars

LONG = "a picture whose name is far too long for Google"


def match(pictures: list[str], *sidecars: str) -> dict[str, list[str]]:
    assert all(map(is_sidecar, sidecars))
    names = [*pictures, *sidecars]
    return {picture: [names[number] for number in found] for picture, found in match_sidecars(names).items()}


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("a.jpg", "a.jpg.xmp"),
        ("a.jpg", "a.xmp"),
        ("A.JPG", "a.jpg.XMP"),
        ("a.jpg", "A.Xmp"),
        (unicodedata.normalize("NFD", "Übung.jpg"), unicodedata.normalize("NFC", "übung.jpg.xmp")),
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-meta.json"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json"),
        ("IMG_1.jpg", "IMG_1.jpg..json"),
        ("IMG_1.jpg", "IMG_1.supplemental-metadata.json"),  # a title without ending
        ("IMG_1(1).jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.json"),
        ("IMG_1(12).jpg", "IMG_1.jpg.supplemental-metadata(12).json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.json"),
        ("IMG_1-ha editado.jpg", "IMG_1.jpg.json"),
        (f"{LONG}.jpg", f"{f'{LONG}.jpg'[:46]}.json"),
        (f"{LONG}(1).jpg", f"{f'{LONG}.jpg'[:46]}(1).json"),
        (f"{LONG[:45]}.jpg", f"{LONG[:45]}..json"),
        (f"{LONG[:44]}.jpg", f"{LONG[:44]}.j.json"),
        (f"{LONG[:40]}.jpg", f"{LONG[:40]}.jpg.s.json"),
        (f"{LONG}.jpg", f"{LONG}.jp.supplemental-meta.json"),
        ("Screenshot_20190919-053857743.jpg", "Screenshot_20190919-053857743.jpg.supplemental.json"),
    ],
)
def test_a_sidecar_is_found(picture: str, sidecar: str) -> None:
    others = ["zebra.jpg", "IMG_10.jpg", "IMG_1(2).jpg", "b.jpg"]
    assert match([picture, *others], sidecar) == {picture: [sidecar]}


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("a.jpg", "b.xmp"),
        ("a.jpg", "a.jpg_original.xmp"),
        ("a.jpg", "a_01.jpg.xmp"),  # darktable's, of another development
        ("a.jpg", "metadata.json"),
        ("a.jpg", "a.jpg.backup.json"),
        ("IMG_1.jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1.jpg.json"),
        ("IMG_1(1).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        (f"{LONG}.jpg", f"{LONG[:20]}.json"),
    ],
)
def test_others_are_left_alone(picture: str, sidecar: str) -> None:
    assert match([picture], sidecar) == {}


def test_a_sidecar_without_ending_is_of_every_picture_of_its_name() -> None:
    assert match(["b.jpg", "b.cr2", "c.jpg"], "b.xmp") == {"b.jpg": ["b.xmp"], "b.cr2": ["b.xmp"]}
    assert match(["b.jpg", "b.cr2"], "b.cr2.xmp") == {"b.cr2": ["b.cr2.xmp"]}


def test_the_name_with_the_ending_goes_first_and_google_last() -> None:
    assert match(["b.jpg"], "B.JPG.json", "b.xmp", "b.jpg.xmp") == {"b.jpg": ["b.jpg.xmp", "b.xmp", "B.JPG.json"]}


def test_one_file_of_google_is_of_a_picture_and_its_edited_copy() -> None:
    found = match(["x.jpg", "x-edited.jpg"], "x.supplemental-metadata.json")
    assert found == {name: ["x.supplemental-metadata.json"] for name in ("x.jpg", "x-edited.jpg")}


def test_a_name_that_was_cut_to_that_of_several_is_of_none() -> None:
    assert match([f"{LONG} one.jpg", f"{LONG} two.jpg"], f"{LONG[:46]}.json") == {}


@pytest.mark.parametrize("name", ["a.jpg", "xmp", "a.xmpp", "json", "a.txt", ""])
def test_what_is_no_sidecar(name: str) -> None:
    assert not is_sidecar(name)
