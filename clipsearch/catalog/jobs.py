"""Records of long-running jobs, by which interrupted runs are detected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Interval, and_, delete, func, insert, literal, select, update

from clipsearch.catalog.database import Repository
from clipsearch.catalog.records import JobRecord
from clipsearch.catalog.tables import Job, Lease


class JobRepository(Repository):
    """The jobs of a catalog; `Catalog.jobs`.

    In a shared catalog several jobs of a kind may run, each until it expires; otherwise one, under the writer's lock.
    """

    def begin(self, kind: str, *, lease_s: float | None = None) -> int:
        """Record the start of a job, delete earlier dead jobs of its kind, and return its id.

        Args:
            kind: ``index`` or ``migrate``.
            lease_s: seconds until it expires, unless extended; ``None`` under the writer's lock.
        """
        values = {"kind": kind, "done": 0, "expires_at": _in(lease_s) if lease_s is not None else None}
        with self._database.writing() as connection:
            connection.execute(delete(Job).where(Job.kind == kind, ~is_alive()))
            job_id: int = connection.execute(insert(Job).values(values).returning(Job.id)).scalar_one()
        return job_id

    def extend(self, job_id: int, lease_s: float) -> bool:
        """Extend a job; False if it had expired and was deleted."""
        with self._database.writing() as connection:
            extended = update(Job).where(Job.id == job_id).values(expires_at=_in(lease_s))
            return connection.execute(extended).rowcount > 0

    def finish(self, job_id: int) -> None:
        """Record the end of a job."""
        with self._database.writing() as connection:
            connection.execute(update(Job).where(Job.id == job_id).values(finished_at=datetime.now(UTC)))
            connection.execute(delete(Lease).where(Lease.job_id == job_id))

    def interrupted(self, kind: str) -> JobRecord | None:
        """The last job of a kind, if it neither finished nor is running."""
        statement = select(Job.started_at, Job.done).where(Job.kind == kind, Job.finished_at.is_(None), ~is_alive())
        with self._database.reading() as connection:
            row = connection.execute(statement.order_by(Job.id.desc()).limit(1)).one_or_none()
        # SQLite drops the time zone of UTC timestamps
        return JobRecord(kind, row[0].replace(tzinfo=UTC), row[1]) if row else None


def is_alive() -> ColumnElement[bool]:
    """Whether a `Job` is running, by the database's clock, because runners may be on several machines."""
    return and_(Job.finished_at.is_(None), Job.expires_at.is_not(None), Job.expires_at > func.current_timestamp())


def _in(seconds: float) -> ColumnElement[datetime]:
    """A time in the future, by the database's clock; for shared catalogs only."""
    moment: ColumnElement[datetime] = func.current_timestamp() + literal(timedelta(seconds=seconds), Interval())
    return moment


def count_done(connection: Connection, job_id: int, files: int) -> None:
    """Add to a job's number of committed files, within the transaction."""
    connection.execute(update(Job).where(Job.id == job_id).values(done=Job.done + files))
