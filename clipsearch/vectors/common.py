"""Helpers for synchronizing any vector engine with the catalog."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import LibraryError
from clipsearch.system.file_lock import writer_lock

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

logger = logging.getLogger(__name__)

VECTORS_NAME = "vectors"
"""The folder of a library that engines keep their files in."""

APPROXIMATE_FROM = 200_000
"""Number of vectors from which an inverted file is worth its training: a scan takes 30 ms for as many on two cores."""

_KEPT_DOWN_TO = 0.5
"""An inverted file is kept down to this share of `approximate_from`, so that a library near it does not alternate."""


def model_key(model: ModelRecord) -> str:
    """The model's identity in stamps."""
    return f"{model.spec}@{model.fingerprint}"


def model_slug(model: ModelRecord) -> str:
    """A file name's part that stands for a model."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.spec).strip("-.")[-80:]
    return f"{slug}-{model.fingerprint[:8]}"


def is_outgrown(is_approximate: bool, count: int, approximate_from: int) -> bool:
    """Whether an index of `count` vectors should change between exact and approximate."""
    return count < _KEPT_DOWN_TO * approximate_from if is_approximate else count >= approximate_from


@contextlib.contextmanager
def try_writer_lock(store: Catalog, name: str, *, locked: bool) -> Iterator[bool]:
    """Try to take the writer's lock; failing to is normal and logged.

    Args:
        store: the catalog.
        name: of the cache, for the log.
        locked: the caller already holds the lock.

    Yields:
        Whether the caller may write.
    """
    with contextlib.ExitStack() as stack:
        if not locked:
            try:
                stack.enter_context(writer_lock(store.directory))
            except LibraryError as error:
                logger.info("the vector cache %s is not saved: %s", name, error)
                yield False
                return
        yield True
