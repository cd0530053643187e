"""Long pieces of work, noted so that the next run can tell what was interrupted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, select, update

from clipsearch.store.database import reading, writing
from clipsearch.store.records import JobRecord
from clipsearch.store.tables import Job


class JobTable:
    """The jobs of a catalog; `ImageStore.jobs`. One runs at a time: its runner holds the writer's lock."""

    def __init__(self, engine: Engine, path: Path) -> None:
        """Bind a catalog's engine and the path of its file."""
        self._engine = engine
        self._path = path

    def begin(self, kind: str) -> int:
        """Note that a job begins, in place of earlier ones of its kind, and return its id."""
        with writing(self._engine, self._path) as connection:
            connection.execute(delete(Job).where(Job.kind == kind))
            job_id: int = connection.execute(insert(Job).values(kind=kind, done=0).returning(Job.id)).scalar_one()
        return job_id

    def finish(self, job_id: int) -> None:
        """Note that a job came to its end."""
        with writing(self._engine, self._path) as connection:
            connection.execute(update(Job).where(Job.id == job_id).values(finished_at=datetime.now(UTC)))

    def interrupted(self, kind: str) -> JobRecord | None:
        """The last job of a kind, if it did not come to its end and nobody is at work on it."""
        statement = select(Job.started_at, Job.done).where(Job.kind == kind, Job.finished_at.is_(None))
        with reading(self._engine, self._path) as connection:
            row = connection.execute(statement.order_by(Job.id.desc()).limit(1)).one_or_none()
        # SQLite drops the zone; what is stored is UTC
        return JobRecord(kind, row[0].replace(tzinfo=UTC), row[1]) if row else None


def count_done(connection: Connection, job_id: int, files: int) -> None:
    """Add to a job's committed files, in the transaction that commits them."""
    connection.execute(update(Job).where(Job.id == job_id).values(done=Job.done + files))
