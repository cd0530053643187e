"""How files become embeddings: what each engine of the indexer offers, and the one that works on this machine alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from clipsearch.catalog.catalog import Catalog
from clipsearch.catalog.records import ModelRecord
from clipsearch.errors import ModelError
from clipsearch.models.encoder import Encoder, OpensLater
from indexer.batches import decoding_pool
from indexer.embedding import Embedded, EmbeddingThreads
from indexer.read import ReadFile
from indexer.scan import ScannedFile


class Engine(Protocol):
    """Reads and embeds files for one run; holds what it needs for that while it is entered.

    Attributes:
        batch_size: files that are best embedded and committed at a time.
        uncommitted: batches that may be begun and not committed; what a crash can cost.
        look_ahead: how many files it works on at once, at most.
        processes: how many have decoded.
    """

    batch_size: int
    uncommitted: int
    look_ahead: int
    processes: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(
        self,
        files: Iterable[ScannedFile],
        *,
        wanted_from: Callable[[str], int | None],
        waiting: Callable[[], None],
    ) -> Iterator[ReadFile]:
        """Read files, and decode those whose content is not embedded yet; in any order, each of them once.

        Args:
            files: taken as they are needed.
            wanted_from: as for `indexer.read.read_content`; called in threads, if at all.
            waiting: called now and then while a file is waited for, if the engine can; ends the wait by raising.

        Yields:
            Each file, a video in parts.
        """
        ...

    def embed(self, files: Sequence[ReadFile]) -> Future[Embedded]:
        """Begin to embed files that were decoded.

        Args:
            files: from `read`.

        Returns:
            The embeddings of the segments of each file, in order.
        """
        ...


class LocalEngine:
    """Decodes in processes of this machine and embeds in this process; see `Engine`."""

    def __init__(self, encoder: Encoder, *, library: Path) -> None:
        """Prepare; nothing is started yet.

        Args:
            encoder: what embeds.
            library: where previews go.
        """
        self._encoder = encoder
        self._pool = decoding_pool(encoder, library=library)
        self._embedding = EmbeddingThreads(encoder)
        self._opening: Thread | None = None
        self.batch_size = self._embedding.sizes.images
        self.uncommitted = self._embedding.sizes.uncommitted
        self.look_ahead = self._embedding.sizes.look_ahead
        self.processes = 0

    def __enter__(self) -> Self:
        if isinstance(self._encoder, OpensLater):  # while the first pictures are decoded
            self._opening = Thread(target=_open, args=(self._encoder,), name="opening the model", daemon=True)
            self._opening.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
        self._embedding.close()
        if self._opening is not None:
            self._opening.join()

    def read(
        self,
        files: Iterable[ScannedFile],
        *,
        wanted_from: Callable[[str], int | None],
        waiting: Callable[[], None],
    ) -> Iterator[ReadFile]:
        """Read files in their order."""
        return self._pool.read(files, wanted_from=wanted_from, look_ahead=self.look_ahead, waiting=waiting)

    def embed(self, files: Sequence[ReadFile]) -> Future[Embedded]:
        """Begin to embed what was decoded."""
        self.processes = max(self.processes, len(self._pool.process_ids))
        return self._embedding.start([file.pixels for file in files if file.pixels is not None])


def _open(encoder: OpensLater) -> None:
    with contextlib.suppress(ModelError):  # which embedding the first picture raises again
        encoder.open_image_tower()


BackendFactory: TypeAlias = Callable[[Catalog, Encoder, ModelRecord], Engine]
"""Gives what a run reads and embeds with; nothing is started until it is entered."""


def local_engine(store: Catalog, encoder: Encoder, _: ModelRecord) -> Engine:
    """The engine that works on this machine alone."""
    return LocalEngine(encoder, library=store.directory)
