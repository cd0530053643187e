"""Long pieces of work, noted so that the next run can tell what was interrupted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Interval, and_, delete, func, insert, literal, select, update

from clipsearch.catalog.database import Database
from clipsearch.catalog.records import JobRecord
from clipsearch.catalog.tables import Job, Lease


class JobRepository:
    """The jobs of a catalog; `Catalog.jobs`.

    One of a kind runs at a time: its runner holds the writer's lock. Where the catalog is shared, several may, and each
    is alive until it expires.
    """

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def begin(self, kind: str, *, lease_s: float | None = None) -> int:
        """Note that a job begins, in place of earlier ones of its kind that nobody is at work on, and return its id.

        Args:
            kind: ``index`` or ``migrate``.
            lease_s: seconds after which it expires, unless `extend` puts that off; ``None`` where its runner has the
                writer's lock.
        """
        values = {"kind": kind, "done": 0, "expires_at": _in(lease_s) if lease_s is not None else None}
        with self._database.writing() as connection:
            connection.execute(delete(Job).where(Job.kind == kind, ~is_alive()))
            job_id: int = connection.execute(insert(Job).values(values).returning(Job.id)).scalar_one()
        return job_id

    def extend(self, job_id: int, lease_s: float) -> bool:
        """Put off when a job expires; False if it has been given up, as it had expired."""
        with self._database.writing() as connection:
            extended = update(Job).where(Job.id == job_id).values(expires_at=_in(lease_s))
            return connection.execute(extended).rowcount > 0

    def finish(self, job_id: int) -> None:
        """Note that a job came to its end."""
        with self._database.writing() as connection:
            connection.execute(update(Job).where(Job.id == job_id).values(finished_at=datetime.now(UTC)))
            connection.execute(delete(Lease).where(Lease.job_id == job_id))

    def interrupted(self, kind: str) -> JobRecord | None:
        """The last job of a kind, if it did not come to its end and nobody is at work on it."""
        statement = select(Job.started_at, Job.done).where(Job.kind == kind, Job.finished_at.is_(None), ~is_alive())
        with self._database.reading() as connection:
            row = connection.execute(statement.order_by(Job.id.desc()).limit(1)).one_or_none()
        # SQLite drops the zone; what is stored is UTC
        return JobRecord(kind, row[0].replace(tzinfo=UTC), row[1]) if row else None


def is_alive() -> ColumnElement[bool]:
    """Whether a `Job` has a runner: by the database's clock, as runners may be on several machines."""
    return and_(Job.finished_at.is_(None), Job.expires_at.is_not(None), Job.expires_at > func.current_timestamp())


def _in(seconds: float) -> ColumnElement[datetime]:
    """A moment from now, by the database's clock; of catalogs that are shared only."""
    moment: ColumnElement[datetime] = func.current_timestamp() + literal(timedelta(seconds=seconds), Interval())
    return moment


def count_done(connection: Connection, job_id: int, files: int) -> None:
    """Add to a job's committed files, in the transaction that commits them."""
    connection.execute(update(Job).where(Job.id == job_id).values(done=Job.done + files))
