"""Silencing the log messages and warnings of third-party packages."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silenced(package: str) -> Iterator[None]:
    """Context that drops all warnings and what the code of a package logs through the root logger."""

    def is_other(record: logging.LogRecord) -> bool:
        return package not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_other)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(is_other)
