from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from clipsearch.system.prefetch import map_ahead


def test_results_come_in_order_however_long_each_takes() -> None:
    def slow_then_fast(number: int) -> int:
        time.sleep(0.002 * (10 - number % 10))
        return number * number

    assert list(map_ahead(slow_then_fast, range(50), workers=4, look_ahead=9)) == [n * n for n in range(50)]
    assert list(map_ahead(slow_then_fast, [], workers=4, look_ahead=9)) == []


def test_no_more_is_taken_than_the_look_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_ahead(str, items(), workers=2, look_ahead=5)
    assert next(results) == "0"
    assert len(taken) == 5
    assert next(results) == "1"
    assert len(taken) == 6
    results.close()


def test_an_error_is_raised_in_its_turn() -> None:
    def refuse_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = map_ahead(refuse_three, range(10), workers=2, look_ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_closing_early_starts_nothing_more() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def wait(number: int) -> int:
        begun.append(number)
        gate.wait(5)
        return number

    results = map_ahead(wait, range(1000), workers=2, look_ahead=50)
    threading.Timer(0.1, gate.set).start()
    assert next(results) == 0
    results.close()
    assert len(begun) <= 60
