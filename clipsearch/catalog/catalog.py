"""Reading and writing the catalog: what is known of which file, and each content's embeddings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from clipsearch.catalog.batch import Batch, write_batch
from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.completeness import is_complete, is_embedded
from clipsearch.catalog.concepts import ConceptRepository
from clipsearch.catalog.embeddings import EmbeddingReader
from clipsearch.catalog.facets import FacetRepository
from clipsearch.catalog.filter_fields import FilterFieldRepository
from clipsearch.catalog.jobs import JobRepository, count_done
from clipsearch.catalog.leases import LeaseRepository
from clipsearch.catalog.maintenance import MaintenanceRepository
from clipsearch.catalog.map_points import MapPointRepository
from clipsearch.catalog.models import ModelRepository
from clipsearch.catalog.open_database import open_database
from clipsearch.catalog.records import (
    CatalogCounts,
    FoundFile,
    SeenFile,
    UnembeddedFile,
)
from clipsearch.catalog.reports import FileFailure
from clipsearch.catalog.revision import raise_revision
from clipsearch.catalog.roots import RootRepository
from clipsearch.catalog.saved_searches import SavedSearchRepository
from clipsearch.catalog.tables import Content, Embedding, Failure, File, Root
from clipsearch.catalog.tags import TagRepository
from clipsearch.catalog.transfer import TransferRepository
from clipsearch.config import LibraryPlace
from clipsearch.media.segments import WHOLE_KINDS


class Catalog(EmbeddingReader):
    """The catalog of one library. Safe to use from several threads."""

    def __init__(self, place: LibraryPlace, *, create: bool = False) -> None:
        """Open (or create) the catalog of a directory or in a database; see `open_database` for the errors."""
        self.place = place
        self._database = open_database(place, create=create)
        self.models = ModelRepository(self._database)
        self.roots = RootRepository(self._database)
        self.jobs = JobRepository(self._database)
        self.leases = LeaseRepository(self._database)
        self.saved = SavedSearchRepository(self._database)
        self.upkeep = MaintenanceRepository(self._database)
        self.concepts = ConceptRepository(self._database)
        self.exchange = TransferRepository(self._database)
        self.overview = FacetRepository(self._database)
        self.tags = TagRepository(self._database)
        self.positions = MapPointRepository(self._database)
        self.scalars = FilterFieldRepository(self._database)

    @property
    def name(self) -> str:
        """What people call it: the path of its file, or its address without user and password."""
        return self._database.name

    @property
    def directory(self) -> Path:
        """Where what is computed from it is kept: the library, or for a database a cache of this machine."""
        return self._database.directory

    @property
    def shared(self) -> bool:
        """Whether several processes may index at once, each with leases on its files (`leases`)."""
        return self._database.shared

    def close(self) -> None:
        """Give back every connection."""
        self._database.close()

    # --- who may write --------------------------------------------------------------------------

    def writer_lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the right to write to the library, alone.

        Args:
            wait_s: how long to wait for others that write or index, in seconds.

        Raises:
            LibraryLockedError: another process still holds it then.
            LibraryError: the library cannot be written to.
        """
        return self._database.writer_lock(wait_s=wait_s)

    def indexer_lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the right to index, as `writer_lock`; where the catalog is `shared`, beside others that index."""
        return self._database.indexer_lock(wait_s=wait_s)

    def cache_lock(self) -> AbstractContextManager[None]:
        """Hold the right to change `directory`, beside the indexer's lock.

        Raises:
            LibraryLockedError: another process of this machine holds it.
        """
        return self._database.cache_lock()

    def vectors_lock(self, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the right to change the vectors of an engine that all machines of a `shared` catalog use.

        Args:
            wait_s: how long to wait for another machine to end, in seconds.

        Raises:
            LibraryLockedError: another process still holds it then.
        """
        return self._database.vectors_lock(wait_s=wait_s)

    # --- files ----------------------------------------------------------------------------------

    def files_in(self, root_id: int, prefix: str = "") -> Iterator[SeenFile]:
        """Files of a root below a relative folder (all of them by default), failed ones included."""
        for table, failed in ((File, False), (Failure, True)):
            statement = select(table.relative_path, table.size, table.mtime_ns).where(table.root_id == root_id)
            with self._database.reading() as connection:
                rows = connection.execute(statement)
                # compared here, not by LIKE, which ignores case in SQLite and would mix up Cats/ and cats/
                within = (row for row in rows if row[0].startswith(f"{prefix}/")) if prefix else rows
                for relative, size, mtime_ns in within:
                    yield SeenFile(relative, size, mtime_ns, failed)

    def incomplete_files(self, root_id: int, model_id: int) -> set[str]:
        """Relative paths of a root's files that have to be read again though they have not changed.

        The model has not embedded their content, or only its preview, or their metadata is old.
        """
        # by content: where nothing is lacking, which is the rule, no file is looked at
        lacking = select(Content.content_hash).where(~is_complete(model_id))
        statement = select(File.relative_path).where(File.root_id == root_id, File.content_hash.in_(lacking))
        with self._database.reading() as connection:
            return set(connection.execute(statement).scalars())

    def partition_missing(self, root_id: int, relative_paths: Collection[str]) -> tuple[set[str], set[str]]:
        """Tell moved files from lost ones.

        Args:
            root_id: a root.
            relative_paths: files of it that are no longer there.

        Returns:
            Those whose content another file of the catalog holds, and those whose content none does. Files
            that could not be read are in neither.
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
        """Every file (of one root, if given) that could not be read, by path."""
        columns = (Root.path, Failure.relative_path, Failure.reason, Failure.failed_at)
        statement = select(*columns).join(Root, Root.id == Failure.root_id)
        if root_id is not None:
            statement = statement.where(Root.id == root_id)
        with self._database.reading() as connection:
            # SQLite drops the zone; what is stored is UTC
            found = [
                FileFailure(Path(root) / relative, reason, failed_at.replace(tzinfo=UTC))
                for root, relative, reason, failed_at in connection.execute(statement)
            ]
        return sorted(found, key=lambda failure: failure.path)

    def counts(self) -> CatalogCounts:
        """How much the catalog holds."""
        with self._database.reading() as connection:
            return CatalogCounts(
                files=connection.execute(select(func.count()).select_from(File)).scalar_one(),
                images=connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one(),
                failures=connection.execute(select(func.count()).select_from(Failure)).scalar_one(),
            )

    # --- writing --------------------------------------------------------------------------------

    def commit(self, batch: Batch, model_id: int) -> None:
        """Write a batch in one transaction and raise the revision."""
        with self._database.writing() as connection:
            write_batch(connection, batch, model_id)
            if batch.job_id is not None:
                count_done(connection, batch.job_id, len(batch.files) + len(batch.failures) or len(batch.embeddings))
            raise_revision(connection)

    # --- contents -------------------------------------------------------------------------------

    def files_to_embed(self, model_id: int) -> Iterator[UnembeddedFile]:
        """One file of each content that files hold and a model has not embedded, those from previews included.

        Root by root and in the order of the paths, as reading them from a disk goes fastest.
        """
        columns = (File.root_id, File.relative_path, File.size, File.mtime_ns, File.content_hash)
        first = _first_files_to_embed(model_id)
        statement = select(*columns).where(File.id.in_(first)).order_by(File.root_id, File.relative_path)
        with self._database.reading() as connection:
            for row in connection.execute(statement):
                yield UnembeddedFile(*row)

    def count_to_embed(self, model_id: int) -> int:
        """How many files `files_to_embed` gives."""
        statement = select(func.count()).select_from(_first_files_to_embed(model_id).subquery())
        with self._database.reading() as connection:
            return connection.execute(statement).scalar_one()

    def files_of(
        self, embedding_ids: Sequence[int], condition: ColumnElement[bool] | None = None
    ) -> dict[int, list[FoundFile]]:
        """The files behind embeddings that pass a condition, by embedding id; copies by path."""
        found: dict[int, list[FoundFile]] = {}
        for chunk in chunks(embedding_ids):
            statement = _found_files(condition).where(Embedding.id.in_(chunk)).order_by(Root.path, File.relative_path)
            for file in self._read_found(statement):
                found.setdefault(file.embedding_id, []).append(file)
        return found

    def files_where(
        self, model_id: int, condition: ColumnElement[bool], *, by_path: bool, limit: int, offset: int
    ) -> list[FoundFile]:
        """Files that pass a condition: the newest picture first, those without a date last, or by path."""
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
        )
        .join(Content, Content.content_hash == Embedding.content_hash)
        .join(File, File.content_hash == Embedding.content_hash)
        .join(Root, Root.id == File.root_id)
    )
    return statement if condition is None else statement.where(condition)


def _first_files_to_embed(model_id: int) -> Select[int]:
    held = select(func.min(File.id)).join(Content, Content.content_hash == File.content_hash)
    return held.where(~is_embedded(model_id)).group_by(File.content_hash)
