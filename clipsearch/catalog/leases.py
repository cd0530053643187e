"""Leases on files, by which several indexers of one catalog share the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, insert, select

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.completeness import is_complete
from clipsearch.catalog.database import Database
from clipsearch.catalog.jobs import is_alive
from clipsearch.catalog.tables import Content, Failure, File, Job, Lease
from clipsearch.errors import LibraryError


@dataclass(frozen=True)
class LeasedFile:
    """A file as it was found: its relative path, its size in bytes, and when it changed last."""

    relative_path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Claim:
    """What came of asking for files: relative paths.

    Attributes:
        granted: nobody else works on them.
        done: another indexer has committed them since they were compared with the catalog.
    """

    granted: frozenset[str]
    done: frozenset[str]


class LeaseRepository:
    """The leases of a shared catalog; `Catalog.leases`. A lease lasts as long as its job is alive."""

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def claim(self, job_id: int, root_id: int, files: Sequence[LeasedFile], *, model_id: int | None) -> Claim:
        """Take leases on those of some files of a root that no other live job has, in one transaction.

        Args:
            job_id: whose leases.
            root_id: the root.
            files: as they were found; each is asked for once.
            model_id: those whose content it has embedded as they are now are done, as are those that failed as they
                are now; ``None`` if they are to be read in any case.

        Raises:
            LibraryError: the job has expired, and others have taken its work over.
        """
        granted: set[str] = set()
        done: set[str] = set()
        with self._database.writing() as connection:
            if connection.execute(select(Job.id).where(Job.id == job_id)).scalar() is None:
                raise LibraryError("this run stood still for so long that others took its work over; run it again")
            for chunk in chunks(files):
                paths = [file.relative_path for file in chunk]
                if model_id is not None:
                    known = _known(connection, root_id, paths, model_id)
                    done.update(file.relative_path for file in chunk if file in known)
                wanted = [path for path in paths if path not in done]
                granted |= _take(connection, job_id, root_id, wanted)
        return Claim(frozenset(granted), frozenset(done))

    def release(self, job_id: int) -> None:
        """End all leases of a job."""
        with self._database.writing() as connection:
            connection.execute(delete(Lease).where(Lease.job_id == job_id))


def end_leases(connection: Connection, root_id: int | None, relative_paths: Sequence[str]) -> None:
    """End the leases on files of a root, in the transaction that commits them."""
    for chunk in chunks(relative_paths):
        connection.execute(delete(Lease).where(Lease.root_id == root_id, Lease.relative_path.in_(chunk)))


def _take(connection: Connection, job_id: int, root_id: int, paths: Sequence[str]) -> set[str]:
    of_files = and_(Lease.root_id == root_id, Lease.relative_path.in_(paths))
    dead = ~select(Job.id).where(Job.id == Lease.job_id, is_alive()).exists()
    connection.execute(delete(Lease).where(of_files, dead))
    # no INSERT … ON CONFLICT: transactions that write come one after the other
    taken = set(connection.execute(select(Lease.relative_path).where(of_files)).scalars())
    free = [path for path in paths if path not in taken]
    if free:
        rows = [{"root_id": root_id, "relative_path": path, "job_id": job_id} for path in free]
        connection.execute(insert(Lease), rows)
    return set(free)


def _known(connection: Connection, root_id: int, paths: Sequence[str], model_id: int) -> set[LeasedFile]:
    """Files as the catalog knows them whose content is complete, or that failed."""
    seen = (File.relative_path, File.size, File.mtime_ns)
    files = select(*seen).join(Content, Content.content_hash == File.content_hash)
    files = files.where(File.root_id == root_id, File.relative_path.in_(paths), is_complete(model_id))
    failed = select(Failure.relative_path, Failure.size, Failure.mtime_ns)
    failed = failed.where(Failure.root_id == root_id, Failure.relative_path.in_(paths))
    return {LeasedFile(*row) for statement in (files, failed) for row in connection.execute(statement)}
