"""Reading and writing the catalog: what is known of which file, and each content's embeddings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from clipsearch.errors import LibraryError
from clipsearch.parts import LONG
from clipsearch.reports import FileFailure
from clipsearch.store.batch import Batch, write_batch
from clipsearch.store.catalog import CATALOG_NAME
from clipsearch.store.chunks import chunks
from clipsearch.store.concepts import ConceptTable
from clipsearch.store.database import open_database, reading, writing
from clipsearch.store.exchange import ExchangeTable
from clipsearch.store.jobs import JobTable, count_done
from clipsearch.store.models import ModelTable
from clipsearch.store.overview import OverviewTable
from clipsearch.store.positions import PositionTable
from clipsearch.store.records import (
    METADATA_VERSION,
    CatalogCounts,
    FoundFile,
    SeenFile,
    UnembeddedFile,
)
from clipsearch.store.revision import current_revision, raise_revision
from clipsearch.store.roots import RootTable
from clipsearch.store.saved import SavedSearchTable
from clipsearch.store.tables import Embedding, Failure, File, Image, Root
from clipsearch.store.tags import TagTable
from clipsearch.store.upkeep import UpkeepTable


class ImageStore:
    """The catalog of one library. Safe to use from several threads."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        """Open (or create) `catalog.sqlite3`; see `open_database` for the errors."""
        self.directory = directory
        self.path = directory / CATALOG_NAME
        self._engine = open_database(self.path, create=create)
        self.models = ModelTable(self._engine, self.path)
        self.roots = RootTable(self._engine, self.path)
        self.jobs = JobTable(self._engine, self.path)
        self.saved = SavedSearchTable(self._engine, self.path)
        self.upkeep = UpkeepTable(self._engine, self.path)
        self.concepts = ConceptTable(self._engine, self.path)
        self.exchange = ExchangeTable(self._engine, self.path)
        self.overview = OverviewTable(self._engine, self.path)
        self.tags = TagTable(self._engine, self.path)
        self.positions = PositionTable(self._engine, self.path)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    # --- files ----------------------------------------------------------------------------------

    def files_in(self, root_id: int, prefix: str = "") -> Iterator[SeenFile]:
        """Files of a root below a relative folder (all of them by default), failed ones included."""
        for table, failed in ((File, False), (Failure, True)):
            statement = select(table.relative_path, table.size, table.mtime_ns).where(table.root_id == root_id)
            with reading(self._engine, self.path) as connection:
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
        complete = and_(Image.metadata_version >= METADATA_VERSION, _is_embedded(model_id))
        lacking = select(Image.content_hash).where(~complete)
        statement = select(File.relative_path).where(File.root_id == root_id, File.content_hash.in_(lacking))
        with reading(self._engine, self.path) as connection:
            return set(connection.execute(statement).scalars())

    def split_gone(self, root_id: int, relative_paths: Collection[str]) -> tuple[set[str], set[str]]:
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
            with reading(self._engine, self.path) as connection:
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
        with reading(self._engine, self.path) as connection:
            # SQLite drops the zone; what is stored is UTC
            found = [
                FileFailure(Path(root) / relative, reason, failed_at.replace(tzinfo=UTC))
                for root, relative, reason, failed_at in connection.execute(statement)
            ]
        return sorted(found, key=lambda failure: failure.path)

    def counts(self) -> CatalogCounts:
        """How much the catalog holds."""
        with reading(self._engine, self.path) as connection:
            return CatalogCounts(
                files=connection.execute(select(func.count()).select_from(File)).scalar_one(),
                images=connection.execute(select(func.count(File.content_hash.distinct()))).scalar_one(),
                failures=connection.execute(select(func.count()).select_from(Failure)).scalar_one(),
            )

    # --- writing --------------------------------------------------------------------------------

    def commit(self, batch: Batch, model_id: int) -> None:
        """Write a batch in one transaction and raise the revision."""
        with writing(self._engine, self.path) as connection:
            write_batch(connection, batch, model_id)
            if batch.job_id is not None:
                count_done(connection, batch.job_id, len(batch.files) + len(batch.failures) or len(batch.embeddings))
            raise_revision(connection)

    # --- embeddings -----------------------------------------------------------------------------

    def revision(self) -> int:
        """Rises with each commit that can change which embeddings have files."""
        with reading(self._engine, self.path) as connection:
            return current_revision(connection)

    def live_embedding_ids(self, model_id: int, *, parts: bool = True) -> tuple[int, NDArray[np.int64]]:
        """The revision, and at that revision the ids of the model's embeddings that a file still holds.

        Args:
            model_id: whose embeddings.
            parts: those of the parts of long pictures, too.

        Returns:
            The revision and int64 [n], ascending.
        """
        held = select(File.id).where(File.content_hash == Embedding.content_hash).exists()
        statement = select(Embedding.id).where(Embedding.model_id == model_id, held).order_by(Embedding.id)
        if not parts:
            statement = statement.where(Embedding.part == 0)
        with reading(self._engine, self.path) as connection:
            revision = current_revision(connection)
            return revision, np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)

    def embedding_ids_where(self, model_id: int, condition: ColumnElement[bool]) -> NDArray[np.int64]:
        """Ids of the model's embeddings of which a file passes a condition (`FilterCompiler`), int64 [n], ascending."""
        statement = (
            select(Embedding.id)
            .join(Image, Image.content_hash == Embedding.content_hash)
            .join(File, File.content_hash == Embedding.content_hash)
            .where(Embedding.model_id == model_id, condition)
            .distinct()
            .order_by(Embedding.id)
        )
        with reading(self._engine, self.path) as connection:
            return np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)

    def embeddings(
        self, ids: NDArray[np.int64], *, dim: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Read embeddings by id, in blocks.

        Yields:
            int64 [n] and float16 [n, dim]; ids that the catalog does not hold are left out.

        Raises:
            LibraryError: one of them is damaged.
        """
        for chunk in chunks(ids.tolist()):
            with reading(self._engine, self.path) as connection:
                rows = connection.execute(
                    select(Embedding.id, Embedding.vector).where(Embedding.id.in_(chunk)).order_by(Embedding.id)
                ).all()
            if rows:
                blob = b"".join(vector for _, vector in rows)
                if len(blob) != 2 * dim * len(rows):
                    raise LibraryError(f"{self.path} holds damaged embeddings; mend it with: clipsearch check --repair")
                yield np.array([row_id for row_id, _ in rows]), np.frombuffer(blob, "<f2").reshape(-1, dim)

    def embedding_of(self, content_hash: str, model_id: int) -> tuple[int, NDArray[np.float16]] | None:
        """Id and float16 [dim] of a content's embedding, if the model has embedded it."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash == content_hash, Embedding.model_id == model_id, Embedding.part == 0
        )
        with reading(self._engine, self.path) as connection:
            row = connection.execute(statement).one_or_none()
        return (row[0], np.frombuffer(row[1], "<f2")) if row else None

    def is_embedded(self, content_hash: str, model_id: int) -> bool:
        """Whether the model has embedded a content, and its parts if it has any, from a file that holds it."""
        statement = select(Image.content_hash).where(Image.content_hash == content_hash, _is_embedded(model_id))
        with reading(self._engine, self.path) as connection:
            return connection.execute(statement).first() is not None

    def is_known(self, content_hash: str, model_id: int) -> bool:
        """Whether a content need not be decoded: the model has embedded it, and its metadata is up to date."""
        statement = select(Image.content_hash).where(
            Image.content_hash == content_hash, Image.metadata_version >= METADATA_VERSION, _is_embedded(model_id)
        )
        with reading(self._engine, self.path) as connection:
            return connection.execute(statement).first() is not None

    def files_to_embed(self, model_id: int) -> Iterator[UnembeddedFile]:
        """One file of each content that files hold and a model has not embedded, those from previews included.

        Root by root and in the order of the paths, as reading them from a disk goes fastest.
        """
        columns = (File.root_id, File.relative_path, File.size, File.mtime_ns, File.content_hash)
        first = _first_files_to_embed(model_id)
        statement = select(*columns).where(File.id.in_(first)).order_by(File.root_id, File.relative_path)
        with reading(self._engine, self.path) as connection:
            for row in connection.execute(statement):
                yield UnembeddedFile(*row)

    def count_to_embed(self, model_id: int) -> int:
        """How many files `files_to_embed` gives."""
        statement = select(func.count()).select_from(_first_files_to_embed(model_id).subquery())
        with reading(self._engine, self.path) as connection:
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
        order = paths if by_path else (Image.taken_at.is_(None), Image.taken_at.desc(), *paths)
        whole = (Embedding.model_id == model_id, Embedding.part == 0)
        statement = _found_files(condition).where(*whole).order_by(*order)
        return list(self._read_found(statement.limit(limit).offset(offset)))

    def embeddings_starting(self, content_hash: str, model_id: int) -> list[tuple[int, NDArray[np.float16]]]:
        """Id and float16 [dim] of up to two embeddings whose content hash begins so."""
        statement = select(Embedding.id, Embedding.vector).where(
            Embedding.content_hash >= content_hash,
            Embedding.content_hash < content_hash + "g",  # after every hex digit
            Embedding.model_id == model_id,
            Embedding.part == 0,
        )
        with reading(self._engine, self.path) as connection:
            return [(row_id, np.frombuffer(blob, "<f2")) for row_id, blob in connection.execute(statement.limit(2))]

    def wholes_of(self, embedding_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """For those embeddings that are of parts: the id of the whole picture's, and the number of the part."""
        whole = aliased(Embedding)
        of_picture = and_(whole.content_hash == Embedding.content_hash, whole.model_id == Embedding.model_id)
        statement = select(Embedding.id, whole.id, Embedding.part).join(whole, and_(of_picture, whole.part == 0))
        found: dict[int, tuple[int, int]] = {}
        for chunk in chunks(embedding_ids):
            with reading(self._engine, self.path) as connection:
                rows = connection.execute(statement.where(Embedding.id.in_(chunk), Embedding.part > 0)).all()
            found.update({row_id: (whole_id, part) for row_id, whole_id, part in rows})
        return found

    def fingerprints_of(self, embedding_ids: Sequence[int]) -> dict[int, bytes]:
        """What the contents behind embeddings look like, by embedding id, for those of which it is known."""
        found: dict[int, bytes] = {}
        for chunk in chunks(embedding_ids):
            statement = select(Embedding.id, Image.fingerprint).join(
                Image, Image.content_hash == Embedding.content_hash
            )
            with reading(self._engine, self.path) as connection:
                for row_id, seen in connection.execute(statement.where(Embedding.id.in_(chunk))):
                    if seen is not None:
                        found[row_id] = seen
        return found

    def _read_found(self, statement: Select[*tuple[Any, ...]]) -> Iterator[FoundFile]:
        with reading(self._engine, self.path) as connection:
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
            Image.content_hash,
            Image.width,
            Image.height,
            Image.format,
            Image.taken_at,
        )
        .join(Image, Image.content_hash == Embedding.content_hash)
        .join(File, File.content_hash == Embedding.content_hash)
        .join(Root, Root.id == File.root_id)
    )
    return statement if condition is None else statement.where(condition)


def _is_embedded(model_id: int) -> ColumnElement[bool]:
    """Whether a model has embedded an image from a file that holds it: the whole of it, and the parts of a long one."""
    made = (Embedding.content_hash == Image.content_hash, Embedding.model_id == model_id)
    whole = select(Embedding.id).where(*made, Embedding.part == 0, ~Embedding.from_preview).exists()
    part = select(Embedding.id).where(*made, Embedding.part == 1).exists()  # written with all of the others
    is_long = or_(Image.width > LONG * Image.height, Image.height > LONG * Image.width)
    return and_(whole, or_(~is_long, part))


def _first_files_to_embed(model_id: int) -> Select[int]:
    held = select(func.min(File.id)).join(Image, Image.content_hash == File.content_hash)
    return held.where(~_is_embedded(model_id)).group_by(File.content_hash)
