"""Several indexers at work on one catalog: each takes leases on what it reads, and finishes what others left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.leases import LeasedFile
from clipsearch.errors import LibraryError
from indexer.batches import blocks_of
from indexer.scan import ScannedFile

LEASE_S = 60.0
"""After how long without a sign of life an indexer's files are taken over by others."""

_POLL_S = 0.5
"""How often files are asked for that others are at work on."""

logger = logging.getLogger(__name__)


@contextmanager
def begun_job(store: Catalog, kind: str) -> Iterator[int]:
    """Note that a job begins, and where others may work beside it, that it is alive; returns its id."""
    if not store.shared:
        yield store.jobs.begin(kind)
        return
    job_id = store.jobs.begin(kind, lease_s=LEASE_S)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_alive, args=(store, job_id, ended), name="lease", daemon=True)
    keeper.start()
    try:
        yield job_id
    finally:
        ended.set()
        keeper.join()


def _keep_alive(store: Catalog, job_id: int, ended: threading.Event) -> None:
    while not ended.wait(LEASE_S / 3):
        try:
            store.jobs.extend(job_id, LEASE_S)
        except LibraryError as error:  # the run itself finds out, too, if it lasts
            logger.warning("the lease on the files at work could not be extended: %s", error)


class SharedWork:
    """The files of one root that have to be read, shared with other indexers."""

    def __init__(
        self,
        store: Catalog,
        job_id: int,
        root_id: int,
        *,
        model_id: int | None,
        done: Callable[[int], None],
    ) -> None:
        """Bind a catalog and a job of it.

        Args:
            store: the catalog.
            job_id: whose leases.
            root_id: the root.
            model_id: as for `clipsearch.catalog.leases.LeaseRepository.claim`.
            done: called with the number of further files another indexer has committed.
        """
        self._store = store
        self._job_id = job_id
        self._root_id = root_id
        self._model_id = model_id
        self._done = done

    def shares(self, files: Sequence[ScannedFile], *, block: int) -> Iterator[Iterable[ScannedFile]]:
        """Give the files to read, in one or several turns; each has to be read and committed before the next.

        Args:
            files: all that have to be read.
            block: how many are asked for at once.
        """
        left: list[ScannedFile] = []
        yield self._granted(files, block, left)
        while left:
            # what was leased and not committed, such as a file deleted meanwhile, must not keep another one waiting
            self._store.leases.release(self._job_id)
            before, waiting = len(left), left
            left = []
            yield self._granted(waiting, block, left)
            if len(left) == before:
                time.sleep(_POLL_S)

    def _granted(self, files: Sequence[ScannedFile], block: int, left: list[ScannedFile]) -> Iterator[ScannedFile]:
        """The files that nobody else is at work on, leased just before they are read; the others go to `left`."""
        for wanted in blocks_of(files, block):
            leased = [LeasedFile(file.relative_path, file.size, file.mtime_ns) for file in wanted]
            claim = self._store.leases.claim(self._job_id, self._root_id, leased, model_id=self._model_id)
            self._done(len(claim.done))
            for file in wanted:
                if file.relative_path in claim.granted:
                    yield file
                elif file.relative_path not in claim.done:
                    left.append(file)
