"""Text is read in rendered pictures of several fonts, sizes, rotations and contrasts, and none where there is none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from clipsearch.media.ocr import ReadLine, TextReader, is_sure
from clipsearch.text import search_form
from tests.conftest import ROOT, mostly_long

RECEIPTS = ROOT.parent / "shared" / "data" / "receipts"
LINES = ("Grand Hotel Heraklion", "Invoice 2041", "Total amount 149.90", "Thank you")


@dataclass(frozen=True)
class Rendering:
    """How lines are drawn: size in pixels, colors of text and ground, and degrees turned."""

    size: int = 32
    ink: str = "black"
    ground: str = "white"
    angle: float = 0
    noise: int = 0


def rendered(look: Rendering, lines: tuple[str, ...] = LINES) -> Image.Image:
    font = ImageFont.load_default(look.size)
    image = Image.new("RGB", (14 * look.size, (2 * len(lines) + 1) * look.size), look.ground)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((look.size, (2 * number + 0.7) * look.size), line, look.ink, font=font)
    image = image.rotate(look.angle, expand=True, fillcolor=look.ground, resample=Image.Resampling.BICUBIC)
    if look.noise:
        random = np.random.default_rng(7).normal(0, look.noise, (*image.size[::-1], 3))
        image = Image.fromarray((np.asarray(image) + random).clip(0, 255).astype(np.uint8))
    return image


@pytest.fixture(scope="module")
def reader() -> TextReader:
    pytest.importorskip("rapidocr")
    return TextReader()


def words(lines: list[ReadLine]) -> set[str]:
    return {word for line in lines for word in search_form(line.text).split()}


@pytest.mark.parametrize(
    "look",
    mostly_long(
        [
            Rendering(),
            Rendering(size=16),
            Rendering(size=90),
            Rendering(ink="#777777"),
            Rendering(ink="white", ground="#203080"),
            Rendering(ink="#f0e000", ground="black"),
            Rendering(angle=4),
            Rendering(angle=-12),
            Rendering(angle=90),
            Rendering(angle=180),
            Rendering(noise=25),
        ],
        everyday=3,
    ),
    ids=str,
)
def test_rendered_lines_are_read(reader: TextReader, look: Rendering) -> None:
    found = words(reader.read(rendered(look)))
    wanted = {word for line in LINES for word in search_form(line).split()}
    assert len(found & wanted) >= 0.8 * len(wanted), found


def test_lines_have_their_boxes_and_scripts(reader: TextReader) -> None:
    lines = reader.read(rendered(Rendering()))
    assert [line.text for line in lines] == list(LINES)
    for number, line in enumerate(lines):
        x, y, width, height = line.box
        assert abs(x - 32) < 16 and y < (2 * number + 0.7) * 32 + 32 < y + height + 16 and width > 100
        assert line.script == "latin" and line.confidence > 0.8


def test_a_banner_is_read_as_one(reader: TextReader) -> None:
    assert [line.text for line in reader.read(rendered(Rendering(), ("Welcome to Heraklion",)))] == [
        "Welcome to Heraklion"
    ]


@pytest.mark.long
def test_a_long_screenshot_is_read_in_parts_each_line_once(reader: TextReader) -> None:
    lines = tuple(f"Message number {100 + number}" for number in range(70))
    found = [line.text for line in reader.read(rendered(Rendering(size=24), lines))]
    assert len(found) == len(set(found)) and len(set(found) & set(lines)) >= 66


@pytest.mark.parametrize("kind", ["plain", "noise", "gradient", "stripes"])
def test_no_text_is_found_where_there_is_none(reader: TextReader, kind: str) -> None:
    pixels = {
        "plain": np.full((300, 400, 3), 128),
        "noise": np.random.default_rng(1).integers(0, 256, (300, 400, 3)),
        "gradient": np.broadcast_to(np.linspace(0, 255, 400)[None, :, None], (300, 400, 3)),
        "stripes": np.broadcast_to(255 * (np.arange(400) // 20 % 2)[None, :, None], (300, 400, 3)),
    }[kind]
    assert reader.read(Image.fromarray(pixels.astype(np.uint8))) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (ReadLine("Total", 0.95, (0, 0, 9, 9)), True),
        (ReadLine("Total", 0.4, (0, 0, 9, 9)), False),
        (ReadLine("I", 0.99, (0, 0, 9, 9)), False),
        (ReadLine("——", 0.99, (0, 0, 9, 9)), False),
        (ReadLine("合計", 0.9, (0, 0, 9, 9)), True),
    ],
)
def test_junk_is_dropped(line: ReadLine, expected: bool) -> None:
    assert is_sure(line) is expected


@pytest.mark.parametrize(
    ("text", "script"), [("Ελλάδα", "greek"), ("合計 9", "cjk"), ("123", ""), ("Москва", "cyrillic")]
)
def test_the_script_of_a_line(text: str, script: str) -> None:
    assert ReadLine(text, 1.0, (0, 0, 9, 9)).script == script


@pytest.mark.skipif(not RECEIPTS.is_dir(), reason="needs ../shared/data")
@pytest.mark.long
def test_words_of_real_receipts(reader: TextReader) -> None:
    printed: dict[str, set[str]] = {}
    for row in (RECEIPTS / "text.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, line = row.split("\t", 1)
        printed.setdefault(name, set()).update(search_form(line).split())
    found = total = 0
    for name in sorted(printed)[:6]:
        with Image.open(RECEIPTS / "images" / name) as image:
            read = words(reader.read(image.convert("RGB")))
        found += len(read & printed[name])
        total += len(printed[name])
    assert found > 0.75 * total


@pytest.mark.long
def test_nothing_is_downloaded(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    program = (
        "import socket, sys\n"
        "def refuse(*arguments): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from PIL import Image, ImageDraw, ImageFont\n"
        "from clipsearch.media.ocr import TextReader\n"
        "image = Image.new('RGB', (300, 80), 'white')\n"
        "ImageDraw.Draw(image).text((20, 20), 'Hello there', 'black', font=ImageFont.load_default(32))\n"
        "assert TextReader().read(image)[0].text.startswith('Hello')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env={"HOME": str(tmp_path), "PATH": ""})
