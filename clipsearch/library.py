"""The Python API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.config import DatabaseUrl, library_place, typed_path
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
from clipsearch.library_parts.texts import Texts
from clipsearch.query import explainable_query
from clipsearch.retrieval.model_session import AUTO, ModelSession
from clipsearch.retrieval.results import SearchOptions, SearchResult, SearchResults
from clipsearch.text import Notify

if TYPE_CHECKING:
    from clipsearch.catalog.records import CatalogCounts, ModelRecord
    from clipsearch.catalog.reports import (
        IndexPreview,
        IndexProgress,
        IndexReport,
        LibraryStatus,
        MigrationReport,
    )
    from clipsearch.labeling.classification import Classification
    from clipsearch.media.box import Box
    from clipsearch.models.encoder import Encoder
    from clipsearch.retrieval.picture_reference import Picture
    from clipsearch.retrieval.saliency import Explanation
    from clipsearch.system.ray_settings import RaySettings

logger = logging.getLogger(__name__)

MAX_CLASSIFIED = 1000
"""Default maximum number of pictures to classify."""


class Library:
    """A directory with a catalog of images and the data computed from it.

    Examples:
        >>> with Library.open("photos.library", create=True) as library:  # doctest: +SKIP
        ...     library.index("~/Pictures")
        ...     for result in library.search("two dogs playing in the snow", k=5):
        ...         print(result.rank, result.score, result.path)
    """

    def __init__(self, context: LibraryContext) -> None:
        """Bind the shared context; see `open`."""
        self._context = context
        self.tags = Tags(context)
        self.concepts = Concepts(context, lambda line, k: self.search(line, k=k))
        self.saved = SavedSearches(context, self.search)
        self.roots = Roots(context)
        self.duplicates = Duplicates(context)
        self.browse = Browse(context)
        self.maintenance = Maintenance(context)
        self.texts = Texts(context)

    @classmethod
    def open(
        cls,
        path: Path | str | DatabaseUrl | None = None,
        *,
        model: str | None = None,
        runtime: str = AUTO,
        device: str = AUTO,
        create: bool = False,
        notify: Notify | None = None,
        encoder: Encoder | None = None,
        load_encoder: Callable[[str], Encoder] | None = None,
    ) -> Library:
        """Open a library; nothing heavy is loaded yet.

        Args:
            path: its directory, or the URL of its database (``postgresql+psycopg://user@host/database``);
                ``$CLIPSEARCH_LIBRARY`` or the user's data directory by default.
            model: for a new library, a preset or any OpenCLIP name (``auto`` by default: `base` if available, otherwise
                the bundled `mini`); for an existing one, it must be the library's own.
            runtime: ``auto``, ``compiled`` (ONNX Runtime) or ``open-clip`` (torch).
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``; for ``open-clip``.
            create: create the library if there is none; a database must exist, and may be empty.
            notify: callback for one-line user notices; logged by default.
            encoder: use this encoder instead of loading one by its spec.
            load_encoder: loads the encoder of a spec, instead of `runtime` and `device`. With it or `encoder`, text
                embeddings are not cached.

        Raises:
            LibraryError: there is no library, its catalog is damaged, or its database cannot be reached.
            SchemaVersionError: the library was written by a newer clipsearch.
            IndexMismatchError: the library was made with another model than `model`.
            ConfigError: `path` is not a directory or an unsupported database URL.
        """
        place = library_place(path)
        if isinstance(place, Path):
            place = place.absolute()
            if place.exists() and not place.is_dir():
                raise ConfigError(f"{place} is a file; a library is a directory")
            if create:
                _create_directory(place)
        notify = notify if notify is not None else logger.info

        def load(spec: str) -> Encoder:
            from clipsearch.models import loading

            return loading.load_encoder(spec, runtime=runtime, device=device, notify=notify)

        def load_for_indexing(spec: str) -> Encoder:
            from clipsearch.models import loading

            encoder = loading.load_encoder(spec, runtime=runtime, device=device, many_images=True, notify=notify)
            if runtime == AUTO:
                loading.compile_in_background(encoder)
            return encoder

        catalog = LazyCatalog(place, create=create)
        session = ModelSession(
            catalog,
            requested=model or AUTO,
            encoder=encoder,
            load_by_spec=load_encoder or load,
            load_for_indexing=load_encoder or load_for_indexing,
            is_loaded_by_spec=encoder is None and load_encoder is None,
            notify=notify,
        )
        try:
            session.check_requested()
        except BaseException:
            catalog.close()
            raise
        return cls(LibraryContext(catalog, session, notify))

    def close(self) -> None:
        """Close the catalog and the vector index."""
        self._context.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The library's directory; for a library in a database, this machine's cache directory."""
        return self._context.catalog.directory

    @property
    def loaded_encoder(self) -> Encoder | None:
        """The encoder if it is loaded, for use by another `Library` of this process."""
        return self._context.session.loaded

    def revision(self) -> int:
        """A number that increases with every change of the searchable pictures."""
        return self._context.catalog.revision()

    def active_model(self) -> ModelRecord | None:
        """The model that searches use; ``None`` before the first indexing."""
        return self._context.catalog.active_model()

    def counts(self) -> CatalogCounts:
        """Number of files, distinct pictures and unreadable files in the catalog."""
        return self._context.store.counts()

    def status(self) -> LibraryStatus:
        """Model, counts, roots and disk usage."""
        from clipsearch.catalog.reports import LibraryStatus
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
            spaces=store.models.spaces(),
            database=store.name if store.shared else None,
            unread=store.count_others(),
            exclusions=store.exclusions.of_library(),
        )

    def index(
        self,
        *folders: Path | str,
        verify: bool = False,
        retry_failed: bool = False,
        prune: bool = False,
        exclude: Sequence[str] = (),
        wait_s: float = 0.0,
        progress: Callable[[IndexProgress], None] | None = None,
        ray: RaySettings | None = None,
    ) -> IndexReport:
        """Update the catalog from folders and embed new pictures.

        Unreadable files and offline folders are reported by `notify` and never stop a run. Offline folders are not
        changed.

        Args:
            folders: to walk; each becomes a root unless it is inside one. All roots by default.
            verify: read every file, to find contents that changed under the same size and time.
            retry_failed: read files again that could not be read before.
            prune: remove missing files even if they are more than half of a root, or all of a folder.
            exclude: gitignore patterns of excluded entries, remembered for the folders, or for all of the library if
                none is named (docs/indexing.md).
            wait_s: how long to wait for another process that writes, in seconds.
            progress: called from this thread. An exception from it interrupts the run: committed batches stay, and the
                next run continues.
            ray: read and embed on a Ray cluster, whose nodes see the folders under the same paths (docs/ray.md).

        Raises:
            ConfigError: no folder is named or known, one does not exist or is no folder, or there is no such cluster.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, the library is not writable, or a drive was disconnected.
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
            [typed_path(folder) for folder in folders],
            encoder=self._context.session.for_indexing,
            options=IndexOptions(verify=verify, retry_failed=retry_failed, prune=prune, exclude=tuple(exclude)),
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

    def preview_index(
        self,
        *folders: Path | str,
        verify: bool = False,
        retry_failed: bool = False,
        exclude: Sequence[str] = (),
    ) -> IndexPreview:
        """What `index` would do with the same arguments; reads no file and changes nothing.

        Raises:
            ConfigError: see `index`.
        """
        from indexer.dry_run import preview
        from indexer.plan import IndexOptions

        options = IndexOptions(verify=verify, retry_failed=retry_failed, exclude=tuple(exclude))
        return preview(self._context.store, [typed_path(folder) for folder in folders], options=options)

    def migrate(
        self,
        model: str,
        *,
        drop_old: bool = False,
        partial: bool = False,
        wait_s: float = 0.0,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> MigrationReport:
        """Embed everything with another model, then switch searches to it.

        An interrupted migration continues on the next call. Offline pictures are embedded from their thumbnails, and
        again when their folder is next indexed. Concepts are fitted for the new model before the switch, and all
        pictures are tagged again.

        Args:
            model: a preset or any OpenCLIP name, see `open`.
            drop_old: delete the embeddings of all other models afterwards.
            partial: switch even if pictures could not be embedded; searches no longer find those.
            wait_s: how long to wait for another process that writes, in seconds.
            progress: see `index`.

        Raises:
            ModelError: the model cannot be loaded.
            LibraryLockedError: another process is writing to this library.
            LibraryError: the disk is full, or a drive was disconnected.
        """
        from clipsearch.models.presets import resolve_preset
        from indexer.migrate import migrate_library

        before = self.tags.progress()
        report = migrate_library(
            self._context.store,
            load_encoder=lambda: self._context.session.load(resolve_preset(model), for_indexing=True),
            concepts_of=self._context.concept_space,
            drop_old=drop_old,
            partial=partial,
            notify=self._context.notify,
            progress=progress if progress is not None else lambda _: None,
            wait_s=wait_s,
        )
        self.tags.keep_current(before)
        return report

    def search(self, query: str, options: SearchOptions = DEFAULT_OPTIONS, **overrides: Any) -> SearchResults:
        """The files that match a query line best.

        Args:
            query: words, pictures, weights and filters (docs/query.md).
            options: which results, in which order.
            overrides: single options by name that replace those of `options`: ``search("a dog", k=5)``.

        Returns:
            The k best of all files that pass the filters; none where the model knows no word of the query. Their
            ``notices`` are lines for the user.

        Raises:
            QueryError: the query or an option is empty or invalid, or the library has no images.
            ImageReadError: a picture of the query cannot be read.
            IndexMismatchError: the weights of the model are not those that the library was made with.
        """
        return self._context.searcher().search(query, replace(options, **overrides))

    def similar(
        self,
        picture: Picture | Sequence[Picture],
        options: SearchOptions = DEFAULT_OPTIONS,
        *,
        box: Box | None = None,
        at_s: float | None = None,
        **overrides: Any,
    ) -> list[SearchResult]:
        """The files most similar to a picture, without the picture itself and its exact copies.

        Args:
            picture: a file, in the library or not; ``~#`` and the first digits (at least 6) of a content hash; a Pillow
                image; or several of these, for similarity to the mean of their embeddings.
            options: see `search`; without ``min_match``.
            box: use only this part of the picture.
            at_s: use only the frame of the video at this time, in seconds from its start.
            overrides: see `search`.

        Raises:
            ImageReadError: a picture cannot be read; a picture in the library is read only for a box.
            QueryError: a hash is unknown or ambiguous, the box is outside of the picture or used with several, an
                option is invalid, or the library has no images.
            IndexMismatchError: see `search`.
        """
        searcher = self._context.searcher()
        return searcher.similar(_as_sequence(picture), replace(options, **overrides), box=box, at_s=at_s)

    def explain(
        self,
        picture: SearchResult | Path | str,
        query: str = "",
        *,
        like: Picture | Sequence[Picture] | None = None,
        box: Box | None = None,
    ) -> Explanation:
        """Saliency map: where in a picture the match with a query, or with other pictures, is.

        Takes as long as embedding about 90 pictures.

        Args:
            picture: a result, a file, or ``~#`` and the first digits of a content hash. The preview is used if no file
                is available.
            query: see `search`; its filters are ignored.
            like: picture or pictures, see `similar`, instead of `query`.
            box: a part of `like`, see `similar`.

        Raises:
            QueryError: the query has only filters; or see `search` and `similar`.
            ImageReadError: a picture cannot be read and has no preview.
        """
        from clipsearch.retrieval.saliency import PICTURE_SIDE, explain_picture

        searcher = self._context.searcher()
        if like is not None:
            query_vector = searcher.embedder.of_pictures(_as_sequence(like), box=box)
        else:
            query_vector = searcher.query_vector_of(explainable_query(query))
        encoder = searcher.embedder.encoder
        min_side = max(encoder.transform.min_side, PICTURE_SIDE)
        image, is_preview = searcher.load_picture(picture, min_side=min_side)
        return explain_picture(encoder, image, query_vector.vector, from_preview=is_preview)

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
            query: see `search`.
            labels: names of at least two classes.
            templates: prompt templates (`clipsearch.labeling.zero_shot.load_templates`).
            limit: maximum number of pictures, the best; the newest for a query of filters only.

        Raises:
            ConfigError: there are fewer than two labels, or a template has no placeholder.
            QueryError: the query has no results; or see `search`.
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


def _as_sequence(picture: Picture | Sequence[Picture]) -> Sequence[Picture]:
    from PIL import Image

    return [picture] if isinstance(picture, str | Path | Image.Image) else picture


def _create_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(f"cannot create the library {directory}: {error.strerror or error}") from error
