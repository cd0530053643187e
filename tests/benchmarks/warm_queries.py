"""Queries in one process, for `tests.benchmarks.queries`.

    python -m tests.benchmarks.warm_queries LIBRARY RUNS

Prints a JSON object: the latency of ``Library.search`` over texts of which none came before, over the same texts once
more, whose embeddings are known by then, and of the text tower alone, which is a part of the first.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

from clipsearch.library import Library
from clipsearch.models.loading import load_encoder
from tests.benchmarks.timing import latency

_WHAT = (
    "two dogs",
    "a red car",
    "children",
    "an old man",
    "a white boat",
    "flowers",
    "a cat",
    "people",
    "a train",
    "birds",
)
_DOING = ("playing", "at night", "in the rain", "seen from above", "in bright sun", "resting", "far away", "in a row")
_WHERE = ("in the snow", "on a beach", "in a city", "by a lake", "in a garden", "on a bridge", "in a field", "at home")
_TEXTS = [" ".join(words) for words in product(_WHAT, _DOING, _WHERE)]

WARM_UP = 10


def query_text(number: int) -> str:
    """The so-manieth of some hundred queries, each another text."""
    return _TEXTS[number * 101 % len(_TEXTS)]  # 101 and their number have no common divisor: none comes twice


def main(directory: Path, runs: int) -> None:
    """Measure, and print."""
    with Library.open(directory) as library:
        search, again = (_times(lambda text: len(library.search(text, k=10)), runs) for _ in ("new", "known"))
    encoder = load_encoder(library_spec(directory))
    encode = _times(lambda text: len(encoder.encode_texts([text])), runs)
    print(json.dumps({"search": latency(search), "known": latency(again), "encode_text": latency(encode)}))


def library_spec(directory: Path) -> str:
    """The model that a library remembers."""
    with Library.open(directory) as library:
        return str(library.status().model)


def _times(work: Callable[[str], int], runs: int) -> list[float]:
    times = []
    for number in range(WARM_UP + runs):
        started = time.perf_counter()
        assert work(query_text(number)) > 0
        times.append(time.perf_counter() - started)
    return times[WARM_UP:]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
