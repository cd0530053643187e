"""Texts of many threads embedded together: the same embeddings, in fewer calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import ModelError
from clipsearch.library import Library
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.loading import load_encoder
from clipsearch.retrieval.prompts import CountsTokens
from clipsearch.retrieval.results import SearchResult
from clipsearch.server.batching import MAX_BATCH, MAX_CACHED, BatchingEncoder, EncoderHandle, is_batchable
from tests.conftest import ColourEncoder

COLOURS = ("red", "green", "blue", "yellow", "white", "black", "orange", "purple", "pink")


class WatchedEncoder(ColourEncoder):
    """Remembers its calls; the first one ends when the gate is opened."""

    def __init__(self, precision: str = "fp32") -> None:
        super().__init__()
        self.precision = precision
        self.gate = threading.Event()
        self.calls: list[list[str]] = []
        self.at_once = 0

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        self.at_once += 1
        assert self.at_once == 1, "one call at a time"
        self.calls.append(list(texts))
        assert self.gate.wait(30)
        self.at_once -= 1
        if "broken" in texts:
            raise ModelError("broken")
        return super().encode_texts(texts)


def _asked_while_busy(encoder: BatchingEncoder, watched: WatchedEncoder, texts: Sequence[str]) -> list[FloatMatrix]:
    """Ask for each text in a thread of its own, all but the first while the first is being embedded."""
    with ThreadPoolExecutor(len(texts)) as threads:
        futures = [threads.submit(encoder.encode_texts, [texts[0]])]
        _wait(lambda: len(watched.calls) == 1)
        futures += [threads.submit(encoder.encode_texts, [text]) for text in texts[1:]]
        # no public way to wait for the queue; a pause of any length would fail by chance
        _wait(lambda: len(encoder._queue) == len(texts) - 1)
        watched.gate.set()
        return [future.result() for future in futures]


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_what_comes_while_it_is_busy_is_embedded_together() -> None:
    watched, sizes = WatchedEncoder(), []
    encoder = BatchingEncoder(watched, observe=sizes.append)  # type: ignore[arg-type]
    found = _asked_while_busy(encoder, watched, COLOURS)
    assert [sorted(call) for call in watched.calls] == [["red"], sorted(COLOURS[1:])]
    assert sizes == [1, len(COLOURS) - 1]
    assert np.allclose(np.concatenate(found), ColourEncoder().encode_texts(COLOURS), atol=1e-6)


def test_the_same_text_is_embedded_once_and_remembered() -> None:
    watched = WatchedEncoder()
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    found = _asked_while_busy(encoder, watched, ["red", "green", "green", "green"])
    assert watched.calls == [["red"], ["green"]]
    again = encoder.encode_texts(["green", "red", "green"])
    assert watched.calls == [["red"], ["green"]]
    assert np.array_equal(again, np.concatenate([found[1], found[0], found[1]]))


def test_the_cache_evicts_the_least_recently_used() -> None:
    watched = WatchedEncoder()
    watched.gate.set()
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    for text in ("green", "red", "green"):
        encoder.encode_texts([text])
    encoder.encode_texts([f"blue {number}" for number in range(MAX_CACHED - 1)])
    watched.calls.clear()
    for text in ("green", "red"):
        encoder.encode_texts([text])
    assert watched.calls == [["red"]]


def test_what_is_remembered_cannot_be_changed_by_who_asks() -> None:
    watched = WatchedEncoder()
    watched.gate.set()
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    encoder.encode_texts(["red"])[:] = 0
    assert np.linalg.norm(encoder.encode_texts(["red"])) == pytest.approx(1)


def test_long_and_short_texts_do_not_share_a_call() -> None:
    watched = WatchedEncoder()
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    long = [f"{'a very long caption of something ' * 3} {colour}" for colour in ("red", "green")]
    _asked_while_busy(encoder, watched, ["blue", "red", long[0], "green", long[1]])
    assert [sorted(call) for call in watched.calls] == [["blue"], ["green", "red"], sorted(long)]


def test_a_batch_has_a_maximum_size() -> None:
    watched = WatchedEncoder()
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    texts = [f"red {number:02}" for number in range(1 + MAX_BATCH + 5)]
    found = _asked_while_busy(encoder, watched, texts)
    assert [len(call) for call in watched.calls] == [1, MAX_BATCH, 5]
    assert np.allclose(np.concatenate(found), ColourEncoder().encode_texts(texts), atol=1e-6)


def test_a_failure_is_told_to_each_caller_and_the_next_call_goes_on() -> None:
    watched = WatchedEncoder()
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    watched.gate.set()
    with pytest.raises(ModelError, match="broken"):
        encoder.encode_texts(["broken"])
    watched.at_once = 0
    assert encoder.encode_texts(["red"]).shape == (1, 16)
    assert encoder.encode_texts([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("precision", "batchable"),
    [
        ("fp32", True),
        ("int8 dynamic", False),
        ("image int8 dynamic, text fp32", True),
        ("image int8 static, text int8 dynamic", False),
        ("image int8 static, head int8 weights, text int8", True),
    ],
)
def test_where_texts_change_each_other_each_call_has_one_callers(precision: str, batchable: bool) -> None:
    assert is_batchable(precision) is batchable
    watched = WatchedEncoder(precision)
    encoder = BatchingEncoder(watched)  # type: ignore[arg-type]
    _asked_while_busy(encoder, watched, COLOURS[:4])
    assert [len(call) for call in watched.calls] == ([1, 3] if batchable else [1, 1, 1, 1])


def test_the_bundled_model_finds_the_same_alone_and_in_company() -> None:
    model = load_encoder("mini", notify=lambda _: None)
    texts = [f"{what} {where}" for what in ("a dog", "two red bicycles", "snow") for where in ("", "in a street", "!")]
    alone = np.stack([model.encode_texts([text])[0] for text in texts])
    encoder = BatchingEncoder(model)
    assert isinstance(encoder, CountsTokens) and encoder.count_tokens("a dog") == model.count_tokens("a dog")  # type: ignore[attr-defined]
    with ThreadPoolExecutor(len(texts)) as threads:
        company = np.concatenate(list(threads.map(lambda text: encoder.encode_texts([text]), texts)))
    assert np.allclose(company, alone, atol=2e-3)  # an activation halfway between two int8 values may go either way
    # with each other, best first: what they find is the same
    assert np.array_equal(np.argsort(-company @ company.T), np.argsort(-alone @ alone.T))


def without_figures(result: SearchResult) -> SearchResult:
    return replace(result, score=0.0, probability=0.0)


def test_searches_at_once_find_what_they_find_alone(
    indexed: Library, open_library: Callable[..., Library], tmp_path: Path
) -> None:
    plain = open_library(indexed.path, create=False, encoder=ColourEncoder())
    queries = [f"{first} -{second}" for first in COLOURS for second in COLOURS[:3] if first != second]
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda query: indexed.search(query, k=4), queries))
    for query, results in zip(queries, found, strict=True):
        alone = plain.search(query, k=4)
        figures = [[(result.score, result.probability) for result in each] for each in (results, alone)]
        assert np.array(figures[0]) == pytest.approx(np.array(figures[1]), abs=1e-6)
        assert [without_figures(result) for result in results] == [without_figures(result) for result in alone]


def test_a_library_uses_what_stands_in_for_its_encoder(tmp_path: Path) -> None:
    in_use = EncoderHandle()
    assert in_use.transform() is None
    with Library.open(tmp_path / "library", create=True, encoder=in_use(ColourEncoder())) as library:  # type: ignore[arg-type]
        assert in_use.latest is not None and in_use.transform() == in_use.latest.transform
        assert library.loaded_encoder is in_use.latest
