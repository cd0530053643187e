"""The Python API: one library, opened, indexed and searched."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from clipsearch.config import library_place
from clipsearch.database_url import DatabaseUrl
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.learning import Learning
from clipsearch.model_choice import AUTO, ModelChoice
from clipsearch.reports import (
    FileFailure,
    IndexPreview,
    IndexProgress,
    IndexReport,
    LibraryStatus,
    MigrationReport,
    RootStatus,
    SpaceStatus,
    StageTime,
)
from clipsearch.results import SearchResult
from clipsearch.store.catalog import Catalog

if TYPE_CHECKING:
    from clipsearch.encoders.base import Encoder
    from clipsearch.ray_settings import RaySettings

__all__ = [
    "FileFailure",
    "IndexPreview",
    "IndexProgress",
    "IndexReport",
    "Library",
    "LibraryStatus",
    "MigrationReport",
    "RootStatus",
    "SearchResult",
    "SpaceStatus",
    "StageTime",
]

logger = logging.getLogger(__name__)


class Library(Learning):
    """A directory that holds a catalog of images and what is computed from it.

    >>> with Library.open("photos.library", create=True) as library:  # doctest: +SKIP
    ...     library.index("~/Pictures")
    ...     for result in library.search("two dogs playing in the snow", k=5):
    ...         print(result.rank, result.score, result.path)
    """

    @classmethod
    def open(
        cls,
        path: Path | str | DatabaseUrl | None = None,
        *,
        model: str | None = None,
        runtime: str = AUTO,
        device: str = AUTO,
        create: bool = False,
        notify: Callable[[str], None] | None = None,
        encoder: Encoder | None = None,
        adapt: Callable[[Encoder], Encoder] | None = None,
    ) -> Library:
        """Open a library; nothing heavy is loaded yet.

        Args:
            path: its directory, or the address of its database (``postgresql+psycopg://user@host/database``);
                ``$CLIPSEARCH_LIBRARY`` or the user's data directory by default.
            model: for a new library, a preset or any OpenCLIP name (``auto`` by default: `base` if it can be
                had, else the bundled `mini`); for an existing one, refused unless it is the library's own.
            runtime: ``auto``, ``compiled`` (ONNX Runtime) or ``open-clip`` (torch).
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``; for ``open-clip``.
            create: make the library if there is none; a database has to be there, and may be empty.
            notify: told in one line what a person should know; logged by default.
            encoder: use this one instead of loading one by its spec.
            adapt: given each encoder before it is used, and gives what is used in its place. The embeddings of texts
                are then not kept for later searches.

        Raises:
            LibraryError: there is no library, its catalog is damaged, or its database cannot be reached.
            SchemaVersionError: a newer clipsearch wrote it.
            IndexMismatchError: it was made with another model than `model`.
            ConfigError: `path` is not a directory, or the address of no database that a library can be in.
        """
        place = library_place(path)
        if isinstance(place, Path):
            place = place.absolute()
            if place.exists() and not place.is_dir():
                raise ConfigError(f"{place} is a file; a library is a directory")
            if create:
                _make_directory(place)
        notify = notify if notify is not None else logger.info

        def load(spec: str) -> Encoder:
            from clipsearch.encoders.loading import load_encoder

            loaded = load_encoder(spec, runtime=runtime, device=device, notify=notify)
            return adapt(loaded) if adapt is not None else loaded

        catalog = Catalog(place, create=create)
        if encoder is not None and adapt is not None:
            encoder = adapt(encoder)
        choice = ModelChoice(catalog, wanted=model or AUTO, encoder=encoder, load_by_spec=load, notify=notify)
        choice.is_loaded_by_spec = choice.is_loaded_by_spec and adapt is None
        try:
            choice.check_wanted()
        except BaseException:
            catalog.close()
            raise
        return cls(catalog, choice, notify)

    def close(self) -> None:
        """Give back the catalog's connections and the vector index."""
        self._searcher = None
        self._catalog.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def index(
        self,
        *folders: Path | str,
        verify: bool = False,
        retry_failed: bool = False,
        prune: bool = False,
        wait_s: float = 0.0,
        progress: Callable[[IndexProgress], None] | None = None,
        ray: RaySettings | None = None,
    ) -> IndexReport:
        """Bring the catalog up to date with folders, embedding what is new.

        Unreadable files are told through `notify`, recorded, and never stop a run. A folder whose drive is not
        there is told and left as it was.

        Args:
            folders: what to walk; each becomes a root unless it is inside one. Without any, every root.
            verify: read every file, to find contents that changed under the same size and time.
            retry_failed: read files again that could not be read before.
            prune: remove files that are gone even if they are more than half of a root, or all of a folder.
            wait_s: how long to wait for another process that writes, in seconds.
            progress: called now and then, from this thread. What it raises ends the run as an interruption does: what
                was committed stays, and the next run carries on.
            ray: read and embed on a Ray cluster, whose nodes see the folders under the same paths (docs/ray.md).

        Raises:
            ConfigError: no folder is named or known, or one does not exist or is not a folder; or there is no such
                cluster.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, the library cannot be written to, or a drive went away.
            ModelError: the model cannot be loaded.
        """
        from indexer.engine import EngineMaker, local_engine
        from indexer.plan import IndexOptions
        from indexer.run import index_folders

        engine: EngineMaker = local_engine
        shards = None
        if ray is not None:
            from indexer.ray_engine.engine import ray_engine
            from indexer.ray_engine.shards import Shards

            engine = ray_engine(ray, sends_encoder=not self._model.is_loaded_by_spec)
            shards = Shards(self._store, ray.shards) if ray.shards is not None else None
        report = index_folders(
            self._store,
            [Path(folder).expanduser() for folder in folders],
            encoder=self._model.for_indexing,
            options=IndexOptions(verify=verify, retry_failed=retry_failed, prune=prune),
            notify=self._notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
            engine=engine,
            keep=shards.keep if shards is not None else None,
        )
        if shards is not None:
            shards.finish()
        self._keep_tags_current()
        return report

    def preview_index(self, *folders: Path | str, verify: bool = False, retry_failed: bool = False) -> IndexPreview:
        """What `index` would do with the same arguments; no file is read and nothing is changed.

        Raises:
            ConfigError: as `index`.
        """
        from indexer.plan import IndexOptions
        from indexer.preview import preview

        options = IndexOptions(verify=verify, retry_failed=retry_failed)
        return preview(self._store, [Path(folder).expanduser() for folder in folders], options=options)

    def migrate(
        self,
        model: str,
        *,
        drop_old: bool = False,
        partial: bool = False,
        wait_s: float = 0.0,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> MigrationReport:
        """Embed everything with another model, then make searches use it.

        Until then searches use the old one. An interrupted migration goes on where it was. Pictures whose drive
        is not there are embedded from their thumbnails, and again when their folder is next indexed. Concepts are
        fitted for the new model before searches use it, and tags are made anew.

        Args:
            model: a preset or any OpenCLIP name, as for `open`.
            drop_old: drop the embeddings of every other model afterwards.
            partial: switch even if some pictures could not be embedded: they are not found any more.
            wait_s: how long to wait for another process that writes, in seconds.
            progress: called now and then, from this thread. What it raises ends the run as an interruption does: what
                was committed stays, and the next run carries on.

        Raises:
            ModelError: the model cannot be loaded.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, or a drive went away.
        """
        from clipsearch.encoders.presets import resolve_preset
        from indexer.migrate import migrate_library

        before = self._tag_progress()
        report = migrate_library(
            self._store,
            load_encoder=lambda: self._model.load(resolve_preset(model)),
            concepts_of=self._concepts_of,
            drop_old=drop_old,
            partial=partial,
            notify=self._notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
        )
        self._keep_tags_current(before)
        return report


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"cannot make the library {directory}: {error.strerror or error}") from error
