"""The Python API: one library, opened, indexed and searched."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from clipsearch.config import default_library_dir
from clipsearch.errors import ConfigError, IndexMismatchError, LibraryError, QueryError
from clipsearch.reports import FileFailure, IndexProgress, IndexReport, LibraryStatus, RootStatus
from clipsearch.search import Searcher, SearchResult
from clipsearch.store.image_store import ImageStore
from clipsearch.store.records import ModelRecord

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.encoders.base import Encoder

__all__ = [
    "FileFailure",
    "IndexProgress",
    "IndexReport",
    "Library",
    "LibraryStatus",
    "RootStatus",
    "SearchResult",
]

logger = logging.getLogger(__name__)
AUTO = "auto"


class Library:
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
        self._store = store
        self._wanted_model = model
        self._loaded: Encoder | None = encoder
        self._load_by_spec = load_encoder
        self._notify = notify
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

    @property
    def path(self) -> Path:
        """The library's directory."""
        return self._store.directory

    def close(self) -> None:
        """Give back the catalog's connections."""
        self._store.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def index(self, *folders: Path | str, progress: Callable[[IndexProgress], None] | None = None) -> IndexReport:
        """Bring the catalog up to date with folders, embedding what is new.

        Unreadable files are told through `notify`, recorded, and never stop a run.

        Args:
            folders: what to walk; each becomes a root unless it is inside one.
            progress: called now and then, from this thread.

        Raises:
            ConfigError: no folder is named, or one does not exist or is not a folder.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, or the library cannot be written to.
            ModelError: the model cannot be loaded.
        """
        from indexer.run import index_folders

        return index_folders(
            self._store,
            [Path(folder).expanduser() for folder in folders],
            encoder=self._encoder_for_indexing,
            notify=self._notify,
            progress=progress if progress is not None else lambda _: None,
        )

    def search(self, query: str, *, k: int = 10) -> list[SearchResult]:
        """The files that match words best.

        Args:
            query: what to look for.
            k: how many results at most, from 1.

        Returns:
            Up to `k` results, best first; fewer when the library holds fewer files.

        Raises:
            QueryError: the query is empty, `k` is below 1, or the library has no images.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        return self._current_searcher().search(query, k=k)

    def similar(self, image: Path | str | Image.Image, *, k: int = 10) -> list[SearchResult]:
        """The files most like a picture, without the picture itself and its exact copies.

        Args:
            image: a file, in the library or not, or a Pillow image.
            k: how many results at most, from 1.

        Returns:
            Up to `k` results, best first.

        Raises:
            ImageReadError: the picture cannot be read.
            QueryError: `k` is below 1, or the library has no images.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        wanted = Path(image).expanduser() if isinstance(image, str) else image
        return self._current_searcher().similar(wanted, k=k)

    def failures(self) -> list[FileFailure]:
        """The files that could not be read, with the reason, by path."""
        return [FileFailure(path, reason) for path, reason in self._store.failures()]

    def status(self) -> LibraryStatus:
        """What the library holds."""
        model, counts = self._store.active_model(), self._store.counts()
        return LibraryStatus(
            path=self.path,
            model=model.spec if model else None,
            precision=model.precision if model else None,
            dim=model.dim if model else None,
            files=counts.files,
            images=counts.images,
            failures=counts.failures,
            bytes_on_disk=sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
            roots=[RootStatus(root.path, root.files, root.path.is_dir()) for root in self._store.roots()],
        )

    def _current_searcher(self) -> Searcher:
        with self._lock:
            if self._searcher is None:
                model = self._store.active_model()
                if model is None:
                    raise QueryError("the library has no images yet; add some with: clipsearch index FOLDER")
                self._searcher = Searcher(
                    self._store, model, load_encoder=lambda: self._encoder_of(model), notify=self._notify
                )
            return self._searcher

    def _check_wanted_model(self) -> None:
        model = self._store.active_model()
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
        model = self._store.active_model()
        if model is not None:
            return self._encoder_of(model), model
        encoder = self._load(self._first_model())
        record = self._store.activate_model(
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
        if self._loaded is None:
            self._loaded = self._load_by_spec(spec)
        return self._loaded


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"cannot make the library {directory}: {error.strerror or error}") from error
