"""Latency of searches by words in a library with and without text in its pictures.

    python -m tests.benchmarks.text_search [--pictures N] [--share PERCENT] [--runs N]

Fills two libraries with the same made-up vectors and names; in one of them a share of the pictures has 20 lines of
made-up words, of which few are frequent and many are rare, as in real texts (Zipf 1935). Prints milliseconds of
``Library.search`` in a running process, for captions, with a word of few and of many pictures, and of a new process.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.full_text import OcrLine
from clipsearch.library import Library
from clipsearch.media.decoding import content_hash
from clipsearch.media.segments import WHOLE_IMAGE
from clipsearch.models.loading import load_encoder
from tests.benchmarks.libraries import fill_library, made_up_files
from tests.benchmarks.timing import latency
from tests.benchmarks.warm_queries import WARM_UP, query_text

LINES, WORDS = 20, 4
_SYLLABLES = ("ka", "to", "mi", "re", "su", "lan", "dor", "vi", "pe", "gra", "nol", "est", "hu", "bri", "cas", "ume")


def word(rank: int) -> str:
    """The made-up word of a rank from 0, the most frequent: two syllables and more."""
    parts = []
    number = rank + len(_SYLLABLES)
    while number:
        number, digit = divmod(number, len(_SYLLABLES))
        parts.append(_SYLLABLES[digit])
    return "".join(parts)


def made_up_lines(seed: int) -> list[OcrLine]:
    """The lines of a picture; the rank of a word follows Zipf's law up to 50,000 words."""
    pick = random.Random(seed)
    ranks = [int(50_000 ** pick.random()) - 1 for _ in range(LINES * WORDS)]
    return [
        OcrLine(WHOLE_IMAGE, " ".join(map(word, ranks[start : start + WORDS])), 0.9, "latin", (0, start, 100, 10))
        for start in range(0, len(ranks), WORDS)
    ]


def write_texts(directory: Path, count: int) -> None:
    """Give the first pictures of a library lines of text."""
    store = Catalog(directory)
    digests = (content_hash(item.relative_path.encode()) for item in made_up_files(count))
    numbered = enumerate(digests)
    while block := list(islice(numbered, 500)):
        store.texts.write({digest: made_up_lines(number) for number, digest in block}, reader="made up")
    store.upkeep.pack()
    store.close()


def queries(kind: str, runs: int) -> Iterator[str]:
    """Queries of a kind: plain captions, or with a word of few or of many pictures."""
    for number in range(WARM_UP + runs):
        caption = query_text(number)
        if kind == "captions":
            yield caption
        else:
            yield f"{caption} {word(number + (20_000 if kind == 'rare word' else 5))}"


def measure(directory: Path, runs: int) -> dict[str, dict[str, float]]:
    """Milliseconds of searches by kind of query."""
    figures = {}
    with Library.open(directory) as library:
        for kind in ("captions", "rare word", "frequent word"):
            lines, times = list(queries(kind, runs)), []
            for by in ("meaning", "both"):  # embeds the texts first: that takes the same time in both libraries
                times = []
                for line in lines:
                    started = time.perf_counter()
                    library.search(line, k=10, by=by)
                    times.append(time.perf_counter() - started)
                figures[f"{kind}, {by}"] = latency(times[WARM_UP:])
    return figures


def new_process(directory: Path, runs: int) -> dict[str, float]:
    """Milliseconds of ``clipsearch search`` in new processes."""
    times = []
    for number in range(runs):
        started = time.perf_counter()
        command = [sys.executable, "-m", "clipsearch", "--library", str(directory), "search", query_text(number % 2)]
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return latency(times[2:])


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--share", type=int, default=30)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = options.keep or Path(scratch)
        (place / "root").mkdir(parents=True, exist_ok=True)
        encoder = load_encoder("mini")
        for name in ("without", "with"):
            if not (place / name).exists():
                files = made_up_files(options.pictures)
                fill_library(place / name, root=place / "root", files=files, count=options.pictures, encoder=encoder)
                if name == "with":
                    write_texts(place / name, options.pictures * options.share // 100)
        for name in ("without", "with", "without", "with"):
            print(name, json.dumps(measure(place / name, options.runs)))
        for name in ("without", "with"):
            print(name, "new process", json.dumps(new_process(place / name, 10)))


if __name__ == "__main__":
    main()
