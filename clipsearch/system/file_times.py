"""Times of last change, which are whatever a file system, a store or a program has written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
"""What a database's integer can be; in nanoseconds since 1970 the years 1677 to 2262."""

_ODD = range(_LOWEST, _LOWEST + 2**40)
"""Stand for times outside, each for many, so that a change of such a time is noticed nearly always."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp_of(time_ns: int) -> int:
    """What a catalog keeps of a time in nanoseconds since 1970: itself, if a database can hold it."""
    return time_ns if _LOWEST <= time_ns <= _HIGHEST else _ODD[time_ns % len(_ODD)]


def time_of(stamp: int) -> datetime | None:
    """The time of a stamp, UTC; ``None`` where it was none that a database can hold."""
    return None if stamp in _ODD else _EPOCH + timedelta(microseconds=stamp // 1000)
