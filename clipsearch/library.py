"""The Python API: one library, opened, indexed and searched."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from clipsearch import standing
from clipsearch.config import default_library_dir
from clipsearch.errors import ConfigError, IndexMismatchError, LibraryError, QueryError
from clipsearch.housekeeping import Housekeeping
from clipsearch.query import parse_query
from clipsearch.reports import (
    FileFailure,
    IndexPreview,
    IndexProgress,
    IndexReport,
    LibraryStatus,
    MigrationReport,
    RootStatus,
    SpaceStatus,
)
from clipsearch.results import SearchResult, Shown, Sort
from clipsearch.search import Searcher
from clipsearch.store.image_store import ImageStore
from clipsearch.store.records import ModelRecord

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.calibration import MinMatch
    from clipsearch.encoders.base import Encoder

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
]

logger = logging.getLogger(__name__)
AUTO = "auto"


class Library(Housekeeping):
    """A directory that holds a catalog of images and what is computed from it.

    >>> with Library.open("photos.library", create=True) as library:  # doctest: +SKIP
    ...     library.index("~/Pictures")
    ...     for result in library.search("two dogs playing in the snow", k=5):
    ...         print(result.rank, result.score, result.path)
    """

    def __init__(
        self,
        store: ImageStore,
        *,
        model: str = AUTO,
        encoder: Encoder | None = None,
        load_encoder: Callable[[str], Encoder],
        notify: Callable[[str], None],
    ) -> None:
        """Bind the parts; use `Library.open`."""
        super().__init__(store, notify)
        self._wanted_model = model
        self._loaded: Encoder | None = encoder
        self._load_by_spec = load_encoder
        self._searcher: Searcher | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        *,
        model: str | None = None,
        runtime: str = AUTO,
        device: str = AUTO,
        create: bool = False,
        notify: Callable[[str], None] | None = None,
        encoder: Encoder | None = None,
    ) -> Library:
        """Open a library; nothing heavy is loaded yet.

        Args:
            path: its directory; ``$CLIPSEARCH_LIBRARY`` or the user's data directory by default.
            model: for a new library, a preset or any OpenCLIP name (``auto`` by default: `base` if it can be
                had, else the bundled `mini`); for an existing one, refused unless it is the library's own.
            runtime: ``auto``, ``compiled`` (ONNX Runtime) or ``open-clip`` (torch).
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``; for ``open-clip``.
            create: make the library if there is none.
            notify: told in one line what a person should know; logged by default.
            encoder: use this one instead of loading one by its spec.

        Raises:
            LibraryError: there is no library, or its catalog is damaged.
            SchemaVersionError: a newer clipsearch wrote it.
            IndexMismatchError: it was made with another model than `model`.
            ConfigError: `path` is not a directory.
        """
        directory = (Path(path).expanduser() if path is not None else default_library_dir()).absolute()
        if directory.exists() and not directory.is_dir():
            raise ConfigError(f"{directory} is a file; a library is a directory")
        if create:
            _make_directory(directory)
        notify = notify if notify is not None else logger.info

        def load(spec: str) -> Encoder:
            from clipsearch.encoders.loading import load_encoder

            return load_encoder(spec, runtime=runtime, device=device, notify=notify)

        library = cls(
            ImageStore(directory, create=create),
            model=model or AUTO,
            encoder=encoder,
            load_encoder=load,
            notify=notify,
        )
        try:
            library._check_wanted_model()
        except BaseException:
            library.close()
            raise
        return library

    def close(self) -> None:
        """Give back the catalog's connections."""
        self._store.close()

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
            progress: called now and then, from this thread.

        Raises:
            ConfigError: no folder is named or known, or one does not exist or is not a folder.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, the library cannot be written to, or a drive went away.
            ModelError: the model cannot be loaded.
        """
        from indexer.plan import IndexOptions
        from indexer.run import index_folders

        return index_folders(
            self._store,
            [Path(folder).expanduser() for folder in folders],
            encoder=self._encoder_for_indexing,
            options=IndexOptions(verify=verify, retry_failed=retry_failed, prune=prune),
            notify=self._notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
        )

    def preview_index(self, *folders: Path | str, verify: bool = False, retry_failed: bool = False) -> IndexPreview:
        """What `index` would do with the same arguments; no file is read and nothing is changed.

        Raises:
            ConfigError: as `index`.
        """
        from indexer.plan import IndexOptions
        from indexer.run import preview

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
        is not there are embedded from their thumbnails, and again when their folder is next indexed.

        Args:
            model: a preset or any OpenCLIP name, as for `open`.
            drop_old: drop the embeddings of every other model afterwards.
            partial: switch even if some pictures could not be embedded: they are not found any more.
            wait_s: how long to wait for another process that writes, in seconds.
            progress: called now and then, from this thread.

        Raises:
            ModelError: the model cannot be loaded.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, or a drive went away.
        """
        from clipsearch.encoders.presets import resolve_preset
        from indexer.migrate import migrate_library

        return migrate_library(
            self._store,
            load_encoder=lambda: self._load(resolve_preset(model)),
            drop_old=drop_old,
            partial=partial,
            notify=self._notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
        )

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        offset: int = 0,
        sort: Sort = "score",
        group_copies: bool = False,
        min_match: MinMatch = "any",
    ) -> list[SearchResult]:
        """The files that match a query line best.

        Args:
            query: what to look for: words, pictures, weights and filters, as docs/query.md describes.
            k: how many results at most, from 1.
            offset: how many of the best to pass over, from 0.
            sort: ``score``; or ``date`` (newest first) or ``path``, the order in which the k best are given.
                Without anything to look for, filters alone, the newest are the best, or with ``path`` the first.
            group_copies: one result for all files of the same content; the others are its `copies`.
            min_match: leave out what matches less than ``strong`` or ``possible`` (docs/matching.md).

        Returns:
            Up to `k` results; fewer when fewer files pass the filters. With filters these are the k best of
            all that pass.

        Raises:
            QueryError: the query is empty or wrong, `k` is below 1, or the library has no images.
            ImageReadError: a picture of the query cannot be read.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        return self._current_searcher().search(query, Shown(k, offset, sort, group_copies, min_match))

    def similar(
        self,
        image: Path | str | Image.Image,
        *,
        k: int = 10,
        offset: int = 0,
        sort: Sort = "score",
        group_copies: bool = False,
    ) -> list[SearchResult]:
        """The files most like a picture, without the picture itself and its exact copies.

        Args:
            image: a file, in the library or not, or a Pillow image.
            k: how many results at most, from 1.
            offset: as for `search`.
            sort: as for `search`.
            group_copies: as for `search`.

        Returns:
            Up to `k` results.

        Raises:
            ImageReadError: the picture cannot be read.
            QueryError: `k` is below 1, or the library has no images.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        wanted = Path(image).expanduser() if isinstance(image, str) else image
        return self._current_searcher().similar(wanted, Shown(k, offset, sort, group_copies))

    def new_results(
        self,
        name: str,
        *,
        k: int = standing.NEW_AMONG,
        offset: int = 0,
        sort: Sort = "score",
        group_copies: bool = False,
    ) -> list[SearchResult]:
        """What a saved search finds among its k best that was not there the last time that this was asked.

        Filters alone have no best: then it is all that pass and are new.

        Args:
            name: of the saved search.
            k: how many of the best to look at, from 1.
            offset: as for `search`.
            sort: as for `search`.
            group_copies: as for `search`.

        Raises:
            ConfigError: there is no such search.
            QueryError: as for `search`.
        """

        def search(line: str) -> list[SearchResult]:
            wanted = k if parse_query(line).terms else max(k, self._store.counts().files)
            return self.search(line, k=wanted, offset=offset, sort=sort, group_copies=group_copies)

        return standing.new_results(self._store, self.saved_search(name), search=search, notify=self._notify)

    def new_matches(self, *, k: int = standing.NEW_AMONG) -> list[standing.NewMatches]:
        """The saved searches with new pictures among their k best (of filters alone: among all that pass), by name.

        They stay new until `new_results` is asked for them.
        """

        def search(line: str) -> list[SearchResult]:
            return self.search(line, k=k if parse_query(line).terms else max(k, self._store.counts().files))

        return standing.new_matches(self._store, search=search, notify=self._notify)

    def _current_searcher(self) -> Searcher:
        with self._lock:
            model = self._store.models.active()
            if model is None:
                raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
            if self._searcher is None or self._searcher.model != model:  # another process may have changed it
                self._searcher = Searcher(
                    self._store, model, load_encoder=lambda: self._encoder_of(model), notify=self._notify
                )
            return self._searcher

    def _check_wanted_model(self) -> None:
        model = self._store.models.active()
        if model is None or self._wanted_model == AUTO:
            return
        from clipsearch.encoders.presets import resolve_preset

        if resolve_preset(self._wanted_model) != model.spec:
            raise IndexMismatchError(
                f"the library {self.path} was made with the model {model.spec}, not {self._wanted_model}; "
                "leave out --model, or make another library with --library DIR"
            )

    def _encoder_for_indexing(self) -> tuple[Encoder, ModelRecord]:
        """The library's encoder, chosen now if this is the first indexing, and its row in the catalog."""
        model = self._store.models.active()
        if model is not None:
            return self._encoder_of(model), model
        encoder = self._load(self._first_model())
        record = self._store.models.activate(
            spec=encoder.spec, fingerprint=encoder.fingerprint, dim=encoder.dim, precision=encoder.precision
        )
        return encoder, record

    def _first_model(self) -> str:
        if self._wanted_model != AUTO or self._loaded is not None:
            return self._wanted_model
        from clipsearch.encoders.presets import resolve_auto

        spec, notice = resolve_auto()
        if notice:
            self._notify(notice)
        return spec

    def _encoder_of(self, model: ModelRecord) -> Encoder:
        encoder = self._load(model.spec)
        if (encoder.fingerprint, encoder.dim) != (model.fingerprint, model.dim):
            raise IndexMismatchError(
                f"the model {model.spec} is no longer the one that the library {self.path} was made with "
                f"(weights {encoder.fingerprint}, library {model.fingerprint}); "
                "put the old model back, or index again into another library with --library DIR"
            )
        return encoder

    def _load(self, spec: str) -> Encoder:
        if self._loaded is None or spec not in (self._loaded.spec, AUTO):
            self._loaded = self._load_by_spec(spec)
        return self._loaded


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"cannot make the library {directory}: {error.strerror or error}") from error
