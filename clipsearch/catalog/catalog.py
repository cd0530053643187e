"""The catalog of a library: files, contents and embeddings, and the repositories of the other tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, null, select, union_all

from clipsearch.catalog.batch import Batch, write_batch
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.completeness import is_complete, is_embedded
from clipsearch.catalog.concepts import ConceptRepository
from clipsearch.catalog.database import raise_revision
from clipsearch.catalog.embeddings import EmbeddingReader
from clipsearch.catalog.exclusions import ExclusionRepository
from clipsearch.catalog.facets import FacetRepository
from clipsearch.catalog.filter_fields import FilterFieldRepository
from clipsearch.catalog.jobs import JobRepository, count_done
from clipsearch.catalog.leases import LeaseRepository
from clipsearch.catalog.maintenance import MaintenanceRepository
from clipsearch.catalog.map_points import MapPointRepository
from clipsearch.catalog.models import ModelRepository
from clipsearch.catalog.open_database import open_database
from clipsearch.catalog.places import PlaceRepository
from clipsearch.catalog.records import (
    CatalogCounts,
    FoundFile,
    OtherRecord,
    SeenFile,
    UnembeddedFile,
)
from clipsearch.catalog.reports import FileFailure
from clipsearch.catalog.roots import RootRepository
from clipsearch.catalog.saved_searches import SavedSearchRepository
from clipsearch.catalog.tables import Content, ContentPlace, Embedding, Failure, File, OtherFile, Place, Root
from clipsearch.catalog.tags import TagRepository
from clipsearch.catalog.texts import TextRepository
from clipsearch.catalog.transfer import TransferRepository
from clipsearch.config import LibraryPlace
from clipsearch.media.segments import WHOLE_KINDS
from clipsearch.media.stacks import StackFile


class Catalog(EmbeddingReader):
    """The catalog of one library. Thread-safe."""

    def __init__(self, place: LibraryPlace, *, create: bool = False) -> None:
        """Open or create a catalog; see `open_database`."""
        self.place = place
        self._database = open_database(place, create=create)
        self.models = ModelRepository(self._database)
        self.roots = RootRepository(self._database)
        self.exclusions = ExclusionRepository(self._database)
        self.jobs = JobRepository(self._database)
        self.leases = LeaseRepository(self._database)
        self.saved = SavedSearchRepository(self._database)
        self.upkeep = MaintenanceRepository(self._database)
        self.concepts = ConceptRepository(self._database)
        self.exchange = TransferRepository(self._database)
        self.overview = FacetRepository(self._database)
        self.tags = TagRepository(self._database)
        self.positions = MapPointRepository(self._database)
        self.places = PlaceRepository(self._database)
        self.scalars = FilterFieldRepository(self._database)
        self.full_text = self._database.full_text()
        self.texts = TextRepository(self._database)

    @property
    def name(self) -> str:
        """Name for display: the path of its file, or its URL without user and password."""
        return self._database.name

    @property
    def directory(self) -> Path:
        """Directory of derived data: the library, or for a database server a cache on this machine."""
        return self._database.directory

    @property
    def shared(self) -> bool:
        """Whether several processes may index concurrently, with leases on files (`leases`)."""
        return self._database.shared

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # --- locks ----------------------------------------------------------------------------------

    def writer_lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the exclusive right to write to the library.

        Args:
            wait_s: seconds to wait for other writers and indexers.

        Raises:
            LibraryLockedError: another process holds the lock.
            LibraryError: the library is not writable.
        """
        return self._database.writer_lock(wait_s=wait_s)

    def indexer_lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the right to index: as `writer_lock`, but in a `shared` catalog together with other indexers."""
        return self._database.indexer_lock(wait_s=wait_s)

    def cache_lock(self) -> AbstractContextManager[None]:
        """Hold the right to change `directory`, in addition to the indexer's lock.

        Raises:
            LibraryLockedError: another process on this machine holds the lock.
        """
        return self._database.cache_lock()

    def vectors_lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the right to change the vectors of an engine shared by the machines of a `shared` catalog.

        Args:
            wait_s: seconds to wait for another machine.

        Raises:
            LibraryLockedError: another process holds the lock.
        """
        return self._database.vectors_lock(wait_s=wait_s)

    # --- files ----------------------------------------------------------------------------------

    def files_in(self, root_id: int, prefix: str = "") -> Iterator[SeenFile]:
        """Files of a root, optionally below a relative folder, including failed ones."""
        for table, failed, stamp in ((File, False, File.sidecar_stamp), (Failure, True, null())):
            columns = (table.relative_path, table.size, table.mtime_ns, stamp)
            statement = select(*columns).where(table.root_id == root_id)
            with self._database.reading() as connection:
                rows = connection.execute(statement)
                # not by LIKE, which ignores case in SQLite
                within = (row for row in rows if row[0].startswith(f"{prefix}/")) if prefix else rows
                for relative, size, mtime_ns, sidecar_stamp in within:
                    yield SeenFile(relative, size, mtime_ns, failed, sidecar_stamp)

    def others_in(self, root_id: int, prefix: str = "") -> Iterator[OtherRecord]:
        """Files of a root below a relative folder (all of them by default) that are no pictures that can be read."""
        columns = (OtherFile.relative_path, OtherFile.size, OtherFile.mtime_ns, OtherFile.kind)
        with self._database.reading() as connection:
            for row in connection.execute(select(*columns).where(OtherFile.root_id == root_id)):
                if not prefix or row[0].startswith(f"{prefix}/"):
                    yield OtherRecord(*row)

    def count_others(self) -> dict[str, int]:
        """How many files of each kind cannot be read as pictures, the most frequent first."""
        count = func.count()
        statement = select(OtherFile.kind, count).where(OtherFile.kind != "").group_by(OtherFile.kind)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(count.desc(), OtherFile.kind)).all()
        return {str(kind): int(number) for kind, number in rows}

    def incomplete_files(self, root_id: int, model_id: int) -> set[str]:
        """Relative paths of a root's unchanged files that must be read again.

        Their content is not embedded, or only from a preview, or has outdated metadata.
        """
        # by content: usually none is incomplete, and no file is read
        incomplete = select(Content.content_hash).where(~is_complete(model_id))
        statement = select(File.relative_path).where(File.root_id == root_id, File.content_hash.in_(incomplete))
        with self._database.reading() as connection:
            return set(connection.execute(statement).scalars())

    def partition_missing(self, root_id: int, relative_paths: Collection[str]) -> tuple[set[str], set[str]]:
        """Split missing files into moved and lost ones.

        Args:
            root_id: a root.
            relative_paths: its missing files.

        Returns:
            The paths whose content another file has, and those whose content no other file has. Unreadable files are in
            neither.
        """
        moved: set[str] = set()
        lost: set[str] = set()
        leaving = set(relative_paths)
        for chunk in chunks(sorted(leaving)):
            of_chunk = select(File.content_hash).where(File.root_id == root_id, File.relative_path.in_(chunk))
            statement = select(File.root_id, File.relative_path, File.content_hash)
            with self._database.reading() as connection:
                rows = connection.execute(statement.where(File.content_hash.in_(of_chunk))).all()
            kept = {digest for root, path, digest in rows if root != root_id or path not in leaving}
            for root, path, digest in rows:
                if root == root_id and path in leaving:
                    (moved if digest in kept else lost).add(path)
        return moved, lost

    def failures(self, root_id: int | None = None) -> list[FileFailure]:
        """Unreadable files, optionally of one root, by path."""
        columns = (Root.path, Failure.relative_path, Failure.reason, Failure.failed_at)
        statement = select(*columns).join(Root, Root.id == Failure.root_id)
        if root_id is not None:
            statement = statement.where(Root.id == root_id)
        with self._database.reading() as connection:
            # SQLite drops the time zone of UTC timestamps
            failures = [
                FileFailure(Path(root) / relative, reason, failed_at.replace(tzinfo=UTC))
                for root, relative, reason, failed_at in connection.execute(statement)
            ]
        return sorted(failures, key=lambda failure: failure.path)

    def counts(self) -> CatalogCounts:
        """Numbers of files, images and failures."""
        with self._database.reading() as connection:
            return CatalogCounts(
                files=connection.execute(select(func.count()).select_from(File)).scalar_one(),
                images=connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one(),
                failures=connection.execute(select(func.count()).select_from(Failure)).scalar_one(),
            )

    # --- writing --------------------------------------------------------------------------------

    def commit(self, batch: Batch, model_id: int) -> None:
        """Write a batch and increment the revision, in one transaction."""
        with self._database.writing() as connection:
            write_batch(connection, batch, model_id)
            if batch.job_id is not None:
                count_done(connection, batch.job_id, len(batch.files) + len(batch.failures) or len(batch.embeddings))
            raise_revision(connection)

    # --- contents -------------------------------------------------------------------------------

    def files_to_embed(self, model_id: int) -> Iterator[UnembeddedFile]:
        """One file per content that a model has not embedded, or only from a preview; by root and path."""
        columns = (File.root_id, File.relative_path, File.size, File.mtime_ns, File.content_hash)
        first = _first_files_to_embed(model_id)
        statement = select(*columns).where(File.id.in_(first)).order_by(File.root_id, File.relative_path)
        with self._database.reading() as connection:
            for row in connection.execute(statement):
                yield UnembeddedFile(*row)

    def count_to_embed(self, model_id: int) -> int:
        """Number of files in `files_to_embed`."""
        statement = select(func.count()).select_from(_first_files_to_embed(model_id).subquery())
        with self._database.reading() as connection:
            return connection.execute(statement).scalar_one()

    def files_of(
        self, embedding_ids: Sequence[int], condition: ColumnElement[bool] | None = None
    ) -> dict[int, list[FoundFile]]:
        """Files of embeddings, optionally those that pass a condition, by embedding id; copies by path."""
        files: dict[int, list[FoundFile]] = {}
        for chunk in chunks(embedding_ids):
            statement = _found_files(condition).where(Embedding.id.in_(chunk)).order_by(Root.path, File.relative_path)
            for file in self._read_found(statement):
                files.setdefault(file.embedding_id, []).append(file)
        return files

    def stack_files(self, model_id: int, keys: Sequence[tuple[int, str]]) -> dict[int, list[StackFile]]:
        """The files that have the ids of a root and keys of `clipsearch.media.stacks`, by root.

        Args:
            model_id: whose embeddings.
            keys: root and key of each stack.
        """
        columns = (Embedding.id, Content.taken_at, Content.camera, Content.fingerprint)
        whole = and_(
            Embedding.content_hash == File.content_hash,
            Embedding.model_id == model_id,
            Embedding.kind.in_(WHOLE_KINDS),
        )
        wanted, files_by_root = set(keys), dict[int, list[StackFile]]()
        for chunk in chunks(sorted({key for _, key in keys})):
            pictures = select(File.root_id, File.stack, Root.path, File.relative_path, File.size, *columns)
            pictures = pictures.join(Root, Root.id == File.root_id).where(File.stack.in_(chunk))
            pictures = pictures.join(Content, Content.content_hash == File.content_hash).outerjoin(Embedding, whole)
            seen = (OtherFile.root_id, OtherFile.stack, Root.path, OtherFile.relative_path, OtherFile.size)
            others = select(*seen).join(Root, Root.id == OtherFile.root_id).where(OtherFile.stack.in_(chunk))
            with self._database.reading() as connection:
                rows = [*connection.execute(pictures), *connection.execute(others)]
            for root_id, key, root, relative, *values in rows:
                if (root_id, key) in wanted:
                    files_by_root.setdefault(root_id, []).append(StackFile(Path(root) / relative, key, *values))
        return files_by_root

    def shared_stack_keys(self) -> list[tuple[int, str]]:
        """Root and key of what may be stacks: those that several files have."""
        pictures = select(File.root_id, File.stack).where(File.stack.is_not(None))
        others = select(OtherFile.root_id, OtherFile.stack).where(OtherFile.stack.is_not(None))
        every = union_all(pictures, others).subquery()
        statement = select(every.c.root_id, every.c.stack).group_by(every.c.root_id, every.c.stack)
        with self._database.reading() as connection:
            rows = connection.execute(statement.having(func.count() > 1)).all()
        return [(root_id, key) for root_id, key in rows]

    def files_where(
        self, model_id: int, condition: ColumnElement[bool], *, by_path: bool, limit: int, offset: int
    ) -> list[FoundFile]:
        """Files that pass a condition, by date, newest first and undated last, or by path."""
        paths = (Root.path, File.relative_path)
        order = paths if by_path else (Content.taken_at.is_(None), Content.taken_at.desc(), *paths)
        whole = (Embedding.model_id == model_id, Embedding.kind.in_(WHOLE_KINDS))
        statement = _found_files(condition).where(*whole).order_by(*order)
        return list(self._read_found(statement.limit(limit).offset(offset)))

    def _read_found(self, statement: Select[*tuple[Any, ...]]) -> Iterator[FoundFile]:
        with self._database.reading() as connection:
            for row_id, root_id, root, relative, *content in connection.execute(statement):
                yield FoundFile(row_id, root_id, Path(root) / relative, *content)


def _found_files(condition: ColumnElement[bool] | None) -> Select[*tuple[Any, ...]]:
    statement: Select[*tuple[Any, ...]] = (
        select(
            Embedding.id,
            Root.id,
            Root.path,
            File.relative_path,
            File.size,
            Content.content_hash,
            Content.width,
            Content.height,
            Content.format,
            Content.taken_at,
            File.stack,
            Content.camera,
            File.mtime_ns,
            Content.taken_source,
            Content.latitude,
            Content.longitude,
            Content.position_source,
            Place.label,
            Content.duration_ms,
            Content.taken_precision,
        )
        .join(Content, Content.content_hash == Embedding.content_hash)
        .join(File, File.content_hash == Embedding.content_hash)
        .join(Root, Root.id == File.root_id)
        .outerjoin(ContentPlace, ContentPlace.of_content())
        .outerjoin(Place, Place.id == ContentPlace.place_id)
    )
    return statement if condition is None else statement.where(condition)


def _first_files_to_embed(model_id: int) -> Select[int]:
    first = select(func.min(File.id)).join(Content, Content.content_hash == File.content_hash)
    return first.where(~is_embedded(model_id)).group_by(File.content_hash)
