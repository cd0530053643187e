"""Sixty labeled queries over a mixed collection: photos, receipts, screenshots and signs, names, folders and captions.

    python -m tests.benchmarks.mixed_queries DATA [--keep DIR]

DATA is the folder of evaluation photos (CONTRIBUTING.md). Prints, for each kind of query, how often a right picture is
first and among the first five: by meaning alone, by text alone, and by both.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from clipsearch.library import Library

FOLDERS = ("2017 Heraklion", "2018 Oslo", "Grandma", "2019 Lisbon", "Camera Uploads", "Garden")
PHOTOS = 600

PRINTED = {
    "wifi password guest network": ("Guest network", "WiFi password:", "sunflower42"),
    "boarding pass gate 22": ("BOARDING PASS", "Gate 22  Seat 14C", "Heraklion to Oslo"),
    "no parking driveway": ("NO PARKING", "Driveway in use", "day and night"),
    "quarterly revenue slide": ("Quarterly revenue", "up 14 percent", "Europe and Asia"),
    "tax return 2019": ("Tax return 2019", "Form 1040", "Department of the Treasury"),
    "pancake recipe flour": ("Pancakes", "200 g flour, 3 eggs", "300 ml milk, salt"),
    "error code 0x80070057": ("Windows Update", "Error code 0x80070057", "Try again later"),
    "dentist appointment": ("Reminder", "Dentist appointment", "Tuesday 9:30"),
    "beware of the dog": ("Beware", "of the dog", "Enter at own risk"),
    "lost cat reward": ("LOST CAT", "Answers to Minka", "Reward 100 euros"),
    "serial number warranty": ("Warranty card", "Serial number", "SN 88-4471-203"),
    "meeting notes budget": ("Meeting notes", "Budget for spring", "Ask Petra about rent"),
}
CAPTIONED = {
    "birthday of uncle theodore": "Birthday of uncle Theodore in the old house",
    "regatta trophy": "Winners of the regatta with the trophy",
    "graduation ceremony eleni": "Eleni at her graduation ceremony",
    "scout camp": "Scout camp, third day",
    "house before renovation": "The house before the renovation",
}
COLORS = (("black", "white"), ("white", "#204080"), ("#222222", "#f5e9c8"), ("#c00000", "white"))

_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">{}
</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True)
class Labeled:
    """A query with the names of the pictures that answer it."""

    kind: str
    query: str
    right: frozenset[str]


def build(data: Path, folder: Path) -> list[Labeled]:
    """Write the collection, the same each time, and return the queries."""
    pick = random.Random(22)
    captions: dict[str, list[str]] = defaultdict(list)
    with (data / "flickr8k" / "captions.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "dev":
                captions[row["image"]].append(row["caption"].strip(" ."))
    photos = pick.sample(sorted(captions), PHOTOS)
    names = {photo: f"IMG_{3000 + 7 * number}.jpg" for number, photo in enumerate(photos)}
    places = {photo: FOLDERS[number % len(FOLDERS)] for number, photo in enumerate(photos)}
    titled = dict(zip(photos[-len(CAPTIONED) :], CAPTIONED.values(), strict=True))
    for photo in photos:
        target = folder / places[photo] / names[photo]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "flickr8k" / "images" / photo, target)
        if photo in titled:
            target.with_name(f"{target.name}.xmp").write_text(_XMP.format(titled[photo]), encoding="utf-8")
    queries = [Labeled("meaning", captions[photo][0], frozenset({names[photo]})) for photo in photos[:15]]
    queries += [
        Labeled("file name", names[photo].removesuffix(".jpg"), frozenset({names[photo]})) for photo in photos[15:19]
    ]
    queries += [Labeled("file name", names[photo], frozenset({names[photo]})) for photo in photos[19:23]]
    queries += list(_folder_queries(captions, names, places))
    queries += [
        Labeled("caption", query, frozenset({names[photo]}))
        for query, photo in zip(CAPTIONED, photos[-len(CAPTIONED) :], strict=True)
    ]
    for number, (query, lines) in enumerate(PRINTED.items()):
        path = _draw(folder / "Screenshots" / f"Screen {number:02}.png", lines, *COLORS[number % len(COLORS)])
        queries.append(Labeled("printed words", query, frozenset({path.name})))
    return queries + list(_receipt_queries(data, folder))


def _folder_queries(captions: dict[str, list[str]], names: dict[str, str], places: dict[str, str]) -> Iterator[Labeled]:
    """What a picture shows and where it is."""
    wanted = (
        ("dog", 0),
        ("beach", 1),
        ("children playing", 2),
        ("snow", 3),
        ("bicycle", 0),
        ("water", 2),
        ("man climbing", 1),
        ("dog running", 5),
    )
    for words, place in wanted:
        folder = FOLDERS[place]
        has = re.compile(".*".join(rf"\b{word[:5]}" for word in words.split()), re.IGNORECASE)
        right = frozenset(
            names[photo]
            for photo in names
            if places[photo] == folder and sum(bool(has.search(each)) for each in captions[photo]) >= 2
        )
        yield Labeled("shown and folder", f"{words} {folder.split()[-1].lower()}", right)


def _receipt_queries(data: Path, folder: Path) -> Iterator[Labeled]:
    """The first words that no other receipt has, of twelve receipts."""
    printed: dict[str, list[str]] = defaultdict(list)
    for row in (data / "receipts" / "text.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, line = row.split("\t", 1)
        printed[name] += re.findall(r"[A-Z]{4,}", line.upper())
    (folder / "Scans").mkdir(parents=True)
    for name in printed:
        shutil.copy(data / "receipts" / "images" / name, folder / "Scans" / f"scan{name}")
    for name in sorted(printed)[::3][:12]:
        own = [word for word in printed[name] if sum(word in words for words in printed.values()) == 1]
        yield Labeled("receipt", f"receipt {' '.join(dict.fromkeys(own[:2]))}".lower(), frozenset({f"scan{name}"}))


def _draw(path: Path, lines: tuple[str, ...], ink: str, ground: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (720, 520), ground)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 60 + 130 * number), line, ink, font=ImageFont.load_default(44))
    image.save(path)
    return path


def hit_rates(library: Library, queries: list[Labeled], by: str) -> dict[str, tuple[int, int, int]]:
    """Queries, hits @1 and hits @5 of each kind."""
    rates: dict[str, tuple[int, int, int]] = {}
    for labeled in queries:
        results = [result.path.name for result in library.search(labeled.query, k=5, by=by)]
        first, five = results[:1] and results[0] in labeled.right, bool(labeled.right & set(results))
        for kind in (labeled.kind, "all"):
            count, at1, at5 = rates.get(kind, (0, 0, 0))
            rates[kind] = count + 1, at1 + bool(first), at5 + five
    return rates


def main() -> None:
    """Build, index, read the text, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--keep", type=Path, help="where the collection and its library stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = options.keep or Path(scratch)
        fresh = not (place / "photos").exists()
        queries = build(options.data, place / "photos" if fresh else Path(scratch) / "again")
        with Library.open(place / "library", model="mini", create=True) as library:
            if fresh:
                library.index(place / "photos")
                print(library.texts.read())
            table = {by: hit_rates(library, queries, by) for by in ("meaning", "text", "both")}
    print(f"| {'queries':18} |   n | meaning @1 @5 | text @1 @5 | both @1 @5 |")
    for kind in table["both"]:
        cells = [f"{100 * at1 / n:.0f} {100 * at5 / n:.0f}" for n, at1, at5 in (table[by][kind] for by in table)]
        print(f"| {kind:18} | {table['both'][kind][0]:3} | {cells[0]:13} | {cells[1]:10} | {cells[2]:10} |")


if __name__ == "__main__":
    main()
