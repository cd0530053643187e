"""Leases on files, by which concurrent indexers of a shared catalog divide the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, insert, select

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.completeness import is_complete
from clipsearch.catalog.database import Repository
from clipsearch.catalog.jobs import is_alive
from clipsearch.catalog.tables import Content, Failure, File, Job, Lease
from clipsearch.errors import LibraryError


@dataclass(frozen=True)
class LeasedFile:
    """A scanned file: relative path, size in bytes, modification time."""

    relative_path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Claim:
    """Result of a claim, as relative paths.

    Attributes:
        granted: files leased to the job.
        done: files that another indexer has committed meanwhile.
    """

    granted: frozenset[str]
    done: frozenset[str]


class LeaseRepository(Repository):
    """The leases of a shared catalog; `Catalog.leases`. A lease lasts as long as its job is alive."""

    def claim(self, job_id: int, root_id: int, files: Sequence[LeasedFile], *, model_id: int | None) -> Claim:
        """Lease the files of a root that no other running job has leased, in one transaction.

        Args:
            job_id: the job.
            root_id: the root.
            files: scanned files, each once.
            model_id: unchanged files that this model has embedded, or that failed, count as done; ``None`` to lease
                them in any case.

        Raises:
            LibraryError: the job has expired.
        """
        granted: set[str] = set()
        done: set[str] = set()
        with self._database.writing() as connection:
            if connection.execute(select(Job.id).where(Job.id == job_id)).scalar() is None:
                raise LibraryError("lease expired and another indexer took over; run again")
            for chunk in chunks(files):
                paths = [file.relative_path for file in chunk]
                if model_id is not None:
                    known = _known(connection, root_id, paths, model_id)
                    done.update(file.relative_path for file in chunk if file in known)
                pending = [path for path in paths if path not in done]
                granted |= _take(connection, job_id, root_id, pending)
        return Claim(frozenset(granted), frozenset(done))

    def release(self, job_id: int) -> None:
        """End all leases of a job."""
        with self._database.writing() as connection:
            connection.execute(delete(Lease).where(Lease.job_id == job_id))


def end_leases(connection: Connection, root_id: int | None, relative_paths: Sequence[str]) -> None:
    """End the leases on files of a root, within the transaction that commits them."""
    for chunk in chunks(relative_paths):
        connection.execute(delete(Lease).where(Lease.root_id == root_id, Lease.relative_path.in_(chunk)))


def _take(connection: Connection, job_id: int, root_id: int, paths: Sequence[str]) -> set[str]:
    of_files = and_(Lease.root_id == root_id, Lease.relative_path.in_(paths))
    dead = ~select(Job.id).where(Job.id == Lease.job_id, is_alive()).exists()
    connection.execute(delete(Lease).where(of_files, dead))
    # no INSERT … ON CONFLICT, because write transactions are serialized
    taken = set(connection.execute(select(Lease.relative_path).where(of_files)).scalars())
    free = [path for path in paths if path not in taken]
    if free:
        rows = [{"root_id": root_id, "relative_path": path, "job_id": job_id} for path in free]
        connection.execute(insert(Lease), rows)
    return set(free)


def _known(connection: Connection, root_id: int, paths: Sequence[str], model_id: int) -> set[LeasedFile]:
    """Files in the catalog with complete content, or that failed."""
    seen = (File.relative_path, File.size, File.mtime_ns)
    files = select(*seen).join(Content, Content.content_hash == File.content_hash)
    files = files.where(File.root_id == root_id, File.relative_path.in_(paths), is_complete(model_id))
    failed = select(Failure.relative_path, Failure.size, Failure.mtime_ns)
    failed = failed.where(Failure.root_id == root_id, Failure.relative_path.in_(paths))
    return {LeasedFile(*row) for statement in (files, failed) for row in connection.execute(statement)}
