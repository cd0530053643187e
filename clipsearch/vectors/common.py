"""What keeping an index in step with the catalog needs with every engine."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import LibraryError
from clipsearch.system.file_lock import writer_lock

if TYPE_CHECKING:
    from clipsearch.catalog.catalog import Catalog

logger = logging.getLogger(__name__)

_KEPT_DOWN_TO = 0.5
"""Share of that number down to which an inverted file is kept, so that a library around it does not go to and fro."""


def model_key(model: ModelRecord) -> str:
    """What a stamp says of the model."""
    return f"{model.spec}@{model.fingerprint}"


def is_outgrown(is_approximate: bool, count: int, approximate_from: int) -> bool:
    """Whether so many vectors call for another kind of index than they have."""
    return count < _KEPT_DOWN_TO * approximate_from if is_approximate else count >= approximate_from


@contextlib.contextmanager
def try_writer_lock(store: Catalog, name: str, *, locked: bool) -> Iterator[bool]:
    """The writer's lock, if nobody holds it and the library can be written to: that it cannot is normal.

    Args:
        store: the catalog.
        name: of what is to be saved, for the log.
        locked: the caller holds the lock already.

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
