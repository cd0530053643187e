"""Image-caption pairs from every supported source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from clipsearch.errors import ConfigError
from clipsearch.training.pairs import CaptionedImage, read_pairs, split_pairs
from clipsearch.training.settings import PairSource

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>
<rdf:li xml:lang="x-default">three dogs</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"""


def tsv(folder: Path) -> PairSource:
    rows = "image\tsplit\tcaption\na.png\ttrain\tone dog\na.png\ttrain\ta dog\nb.png\ttrain\ttwo dogs\nc.png\tdev\tno\n"
    (folder / "captions.tsv").write_text(rows, encoding="utf-8")
    return PairSource(folder, folder / "captions.tsv", "train")


def csv(folder: Path) -> PairSource:
    rows = 'image,caption\na.png,"one dog"\na.png,a dog\nb.png,two dogs\n'
    (folder / "captions.csv").write_text(rows, encoding="utf-8")
    return PairSource(folder, folder / "captions.csv")


def json_lines(folder: Path) -> PairSource:
    rows = [
        {"image": "a.png", "captions": ["one dog", "a dog"], "split": "train"},
        {"file_name": "b.png", "caption": "two dogs", "split": "train"},
        {"image": "c.png", "caption": "no", "split": "dev"},
    ]
    (folder / "captions.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return PairSource(folder, folder / "captions.jsonl", "train")


def coco(folder: Path) -> PairSource:
    content = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "annotations": [
            {"image_id": image, "caption": caption}
            for image, caption in ((7, "one dog"), (7, "a dog"), (9, "two dogs"), (7, "one dog"))
        ],
    }
    (folder / "captions.json").write_text(json.dumps(content), encoding="utf-8")
    return PairSource(folder, folder / "captions.json")


def sidecars(folder: Path) -> PairSource:
    for name in ("a", "b", "unsaid"):
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    (folder / "a.txt").write_text("one dog\n\na dog\n", encoding="utf-8")
    (folder / "b.png.txt").write_text("two dogs\n", encoding="utf-8")
    return PairSource(folder)


@pytest.mark.parametrize("write", [tsv, csv, json_lines, coco, sidecars])
def test_captions_are_grouped_by_image(write: Callable[[Path], PairSource], tmp_path: Path) -> None:
    assert read_pairs(write(tmp_path)) == [
        CaptionedImage(tmp_path / "a.png", ("one dog", "a dog")),
        CaptionedImage(tmp_path / "b.png", ("two dogs",)),
    ]


def test_captions_are_read_from_xmp_and_from_images(tmp_path: Path) -> None:
    for name in ("beside", "title"):
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Title", "a fish")
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png", pnginfo=texts)
    (tmp_path / "beside.xmp").write_text(XMP, encoding="utf-8")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    assert [pair.captions for pair in read_pairs(PairSource(tmp_path))] == [("three dogs",), ("a fish",)]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("captions.jsonl", "{", "line 1 is not JSON"),
        ("captions.jsonl", "[]", "not a JSON object"),
        ("captions.jsonl", '{"image": "a.png"}', "needs an image and a caption"),
        ("captions.jsonl", '{"image": "a.png", "caption": " "}', "empty caption"),
        ("captions.jsonl", "", "has no image with a caption"),
        ("captions.json", "[]", "COCO"),
        ("captions.json", '{"images": [], "annotations": [{"image_id": 1, "caption": "a"}]}', "an unknown image"),
        ("captions.xlsx", "", "unknown format"),
        ("captions.tsv", "picture\ttext\n", "no column image"),
        ("captions.jsonl", "\xff", "needs|JSON"),
    ],
)
def test_damaged_files_are_one_line(name: str, content: str, error: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=error):
        read_pairs(PairSource(tmp_path, tmp_path / name))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_pairs(PairSource(tmp_path / "none"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pairs(PairSource(tmp_path, tmp_path / "none.jsonl"))
    with pytest.raises(ConfigError, match="no image with a caption"):
        read_pairs(PairSource(tmp_path))


def test_the_split_is_seeded_and_by_picture() -> None:
    pairs = [CaptionedImage(Path(f"{number}.png"), ("a", "b")) for number in range(40)]
    kept, held_out = split_pairs(pairs, 0.25, 3)
    assert len(held_out) == 10 and sorted(kept + held_out, key=pairs.index) == pairs
    assert split_pairs(pairs, 0.25, 3) == (kept, held_out) != split_pairs(pairs, 0.25, 4)
    assert split_pairs(pairs, 0, 3) == (pairs, [])
    with pytest.raises(ConfigError, match="too few"):
        split_pairs(pairs[:3], 0.1, 3)
