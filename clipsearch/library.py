"""The Python API: one library, opened, indexed and searched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.reports import (
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
from clipsearch.config import DatabaseUrl, library_place
from clipsearch.errors import ConfigError, LibraryError
from clipsearch.labeling.zero_shot import DEFAULT_TEMPLATES, check_labels, check_templates
from clipsearch.library_parts.browse import Browse
from clipsearch.library_parts.concepts import Concepts
from clipsearch.library_parts.context import LibraryContext
from clipsearch.library_parts.duplicates import Duplicates
from clipsearch.library_parts.maintenance import Maintenance
from clipsearch.library_parts.protocol import DEFAULT_OPTIONS
from clipsearch.library_parts.roots import Roots
from clipsearch.library_parts.saved import SavedSearches
from clipsearch.library_parts.tags import Tags
from clipsearch.query import explainable_query
from clipsearch.retrieval.model_session import AUTO, ModelSession
from clipsearch.retrieval.results import SearchOptions, SearchResult

if TYPE_CHECKING:
    from clipsearch.catalog.records import CatalogCounts, ModelRecord
    from clipsearch.labeling.classification import Classification
    from clipsearch.media.box import Box
    from clipsearch.models.encoder import Encoder
    from clipsearch.retrieval.picture_reference import Picture
    from clipsearch.retrieval.saliency import Explanation
    from clipsearch.system.ray_settings import RaySettings

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

MAX_CLASSIFIED = 1000
"""Pictures that are classified at most, unless more are asked for."""


class Library:
    """A directory that holds a catalog of images and what is computed from it.

    >>> with Library.open("photos.library", create=True) as library:  # doctest: +SKIP
    ...     library.index("~/Pictures")
    ...     for result in library.search("two dogs playing in the snow", k=5):
    ...         print(result.rank, result.score, result.path)
    """

    def __init__(self, context: LibraryContext) -> None:
        """Bind what the library's parts share; see `open`."""
        self._context = context
        self.tags = Tags(context)
        self.concepts = Concepts(context, lambda line, k: self.search(line, k=k))
        self.saved = SavedSearches(context, self.search)
        self.roots = Roots(context)
        self.duplicates = Duplicates(context)
        self.browse = Browse(context)
        self.maintenance = Maintenance(context)

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
        load_encoder: Callable[[str], Encoder] | None = None,
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
            notify: callback for one-line user notices; logged by default.
            encoder: use this one instead of loading one by its spec.
            load_encoder: gives the encoder of a spec, in place of the one that `runtime` and `device` choose. With this
                or `encoder`, the embeddings of texts are not kept for later searches.

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
            from clipsearch.models import loading

            return loading.load_encoder(spec, runtime=runtime, device=device, notify=notify)

        catalog = LazyCatalog(place, create=create)
        choice = ModelSession(
            catalog,
            wanted=model or AUTO,
            encoder=encoder,
            load_by_spec=load_encoder or load,
            is_loaded_by_spec=encoder is None and load_encoder is None,
            notify=notify,
        )
        try:
            choice.check_wanted()
        except BaseException:
            catalog.close()
            raise
        return cls(LibraryContext(catalog, choice, notify))

    def close(self) -> None:
        """Give back the catalog's connections and the vector index."""
        self._context.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The library's directory; of one in a database, where this machine keeps what is computed from it."""
        return self._context.catalog.directory

    @property
    def loaded_encoder(self) -> Encoder | None:
        """The encoder, if anything has needed it by now; another `Library` of this process can be given it."""
        return self._context.session.loaded

    def revision(self) -> int:
        """A number that rises with every change of which pictures can be found."""
        return self._context.catalog.revision()

    def active_model(self) -> ModelRecord | None:
        """The model that searches use; ``None`` before the first indexing."""
        return self._context.catalog.active_model()

    def counts(self) -> CatalogCounts:
        """How many files, distinct pictures and unreadable files it holds, without a look at the disk."""
        return self._context.store.counts()

    def status(self) -> LibraryStatus:
        """What the library holds."""
        from clipsearch.maintenance.compact import library_bytes

        store, model, counts = self._context.store, self.active_model(), self.counts()
        interrupted = store.jobs.interrupted("index")
        return LibraryStatus(
            path=self.path,
            model=model.spec if model else None,
            precision=model.precision if model else None,
            dim=model.dim if model else None,
            files=counts.files,
            images=counts.images,
            failures=counts.failures,
            bytes_on_disk=library_bytes(self.path),
            interrupted=interrupted.started_at if interrupted else None,
            roots=self.roots.all(),
            spaces=[
                SpaceStatus(space.model.spec, space.embedded, space.from_preview, space.missing, space.active)
                for space in store.models.spaces()
            ],
            database=store.name if store.shared else None,
        )

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
        from indexer.backends.local import BackendFactory, local_engine
        from indexer.plan import IndexOptions
        from indexer.run import index_folders

        engine: BackendFactory = local_engine
        shards = None
        if ray is not None:
            from indexer.backends.ray.backend import ray_engine
            from indexer.backends.ray.shards import Shards

            engine = ray_engine(ray, sends_encoder=not self._context.session.is_loaded_by_spec)
            shards = Shards(self._context.store, ray.shards) if ray.shards is not None else None
        report = index_folders(
            self._context.store,
            [Path(folder).expanduser() for folder in folders],
            encoder=self._context.session.for_indexing,
            options=IndexOptions(verify=verify, retry_failed=retry_failed, prune=prune),
            notify=self._context.notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
            engine=engine,
            keep=shards.keep if shards is not None else None,
        )
        if shards is not None:
            shards.finish()
        self.tags.keep_current()
        return report

    def preview_index(self, *folders: Path | str, verify: bool = False, retry_failed: bool = False) -> IndexPreview:
        """What `index` would do with the same arguments; no file is read and nothing is changed.

        Raises:
            ConfigError: as `index`.
        """
        from indexer.dry_run import preview
        from indexer.plan import IndexOptions

        options = IndexOptions(verify=verify, retry_failed=retry_failed)
        return preview(self._context.store, [Path(folder).expanduser() for folder in folders], options=options)

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
        from clipsearch.models.presets import resolve_preset
        from indexer.migrate import migrate_library

        before = self.tags.progress()
        report = migrate_library(
            self._context.store,
            load_encoder=lambda: self._context.session.load(resolve_preset(model)),
            concepts_of=self._context.concept_space,
            drop_old=drop_old,
            partial=partial,
            notify=self._context.notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
        )
        self.tags.keep_current(before)
        return report

    def search(self, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any) -> list[SearchResult]:
        """The files that match a query line best.

        Args:
            query: what to look for: words, pictures, weights and filters, as docs/query.md describes.
            options: which results, in which order; see `SearchOptions`.
            overrides: single options by name, in place of those of `options`: ``search("a dog", k=5)``.

        Returns:
            Up to `k` results; fewer when fewer files pass the filters. With filters these are the k best of
            all that pass.

        Raises:
            QueryError: the query or an option is empty or wrong, or the library has no images.
            ImageReadError: a picture of the query cannot be read.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        return self._context.searcher().search(query, replace(options, **overrides))

    def similar(
        self,
        picture: Picture | Sequence[Picture],
        options: SearchOptions = DEFAULT_OPTIONS,
        *,
        box: Box | None = None,
        **overrides: Any,
    ) -> list[SearchResult]:
        """The files most like a picture, without the picture itself and its exact copies.

        Args:
            picture: a file, in the library or not; ``~#`` and the first digits, at least 6, of the content hash of one
                that is in it; a Pillow image; or several of these: then what is most like all of them together, by
                the mean of their embeddings.
            options: as for `search`, but for ``min_match``.
            box: look for what is like this part of the picture only.
            overrides: as for `search`.

        Returns:
            Up to `k` results.

        Raises:
            ImageReadError: a picture cannot be read; of one given by its hash that is only with a box.
            QueryError: a hash is unknown or ambiguous, the box reaches outside of the picture or goes with several,
                an option is wrong, or the library has no images.
            IndexMismatchError: the model at hand is not the one that the library was made with.
        """
        return self._context.searcher().similar(_several(picture), replace(options, **overrides), box=box)

    def explain(
        self,
        picture: SearchResult | Path | str,
        query: str = "",
        *,
        like: Picture | Sequence[Picture] | None = None,
        box: Box | None = None,
    ) -> Explanation:
        """Where in a picture its match with a query is, or its likeness to other pictures.

        What is covered up in turn shows by how much the score drops. Takes as long as embedding about 90 pictures.

        Args:
            picture: a result, a file, or ``~#`` and the first digits of a content hash. The library's preview stands in
                for a result whose file is not there.
            query: as for `search`; its filters play no part.
            like: the picture or pictures that were searched with, as for `similar`, in place of `query`.
            box: the part of `like` that was searched with.

        Raises:
            QueryError: the query has nothing but filters, or as for `search` and `similar`.
            ImageReadError: a picture cannot be read, and the library has no preview of it.
        """
        from clipsearch.retrieval.saliency import PICTURE_SIDE, explain_picture

        searcher = self._context.searcher()
        if like is not None:
            target = searcher.embedder.of_pictures(_several(like), box=box)
        else:
            target = searcher.direction_of(explainable_query(query))
        encoder = searcher.embedder.encoder
        min_side = max(encoder.transform.min_side, PICTURE_SIDE)
        image, is_preview = searcher.load_picture(picture, min_side=min_side)
        return explain_picture(encoder, image, target.vector, from_preview=is_preview)

    def classify(
        self,
        query: str,
        labels: Sequence[str],
        *,
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        limit: int = MAX_CLASSIFIED,
    ) -> Classification:
        """Classify the pictures that a query finds by label names, zero-shot (docs/labels.md).

        Args:
            query: as for `search`.
            labels: names of the classes, two at least.
            templates: what they are put into (`clipsearch.labeling.zero_shot.load_templates`).
            limit: how many pictures at most, the best; of filters alone, the newest.

        Raises:
            ConfigError: there are fewer than two labels, or one of the templates has no place for them.
            QueryError: as for `search`, or it finds nothing.
        """
        from clipsearch.labeling.classification import classify_results

        names, prompts = check_labels(labels), check_templates(templates, "templates")
        results = self.search(query, k=limit)
        searcher = self._context.searcher()
        return classify_results(
            self._context.store,
            searcher.model,
            lambda: searcher.embedder.encoder,
            results,
            labels=names,
            templates=prompts,
        )


def _several(picture: Picture | Sequence[Picture]) -> Sequence[Picture]:
    from PIL import Image

    return [picture] if isinstance(picture, str | Path | Image.Image) else picture


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"cannot make the library {directory}: {error.strerror or error}") from error
