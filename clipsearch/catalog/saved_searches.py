"""Searches that are kept by name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, update

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import Database
from clipsearch.catalog.tables import Embedding, SavedSearch


@dataclass(frozen=True)
class SavedSearchRecord:
    """A search that is kept by name.

    Attributes:
        name: unique in the library.
        line: the query's canonical line.
        saved_at: with time zone.
        seen_embedding_id: the newest embedding when its new results were last looked at; 0 if there was none.
    """

    name: str
    line: str
    saved_at: datetime
    seen_embedding_id: int


class SavedSearchRepository:
    """The saved searches of a catalog; `Catalog.saved`.

    What is written here are single rows that no cache depends on, so the writer's lock is not asked for: a search
    can be saved while another process indexes.
    """

    def __init__(self, database: Database) -> None:
        """Bind an open catalog."""
        self._database = database

    def all(self) -> list[SavedSearchRecord]:
        """Every saved search, by name."""
        columns = (SavedSearch.name, SavedSearch.line, SavedSearch.saved_at, SavedSearch.seen_embedding_id)
        with self._database.reading() as connection:
            return [
                # SQLite drops the zone; what is stored is UTC
                SavedSearchRecord(name, line, saved_at.replace(tzinfo=UTC), seen)
                for name, line, saved_at, seen in connection.execute(select(*columns).order_by(SavedSearch.name))
            ]

    def put(self, name: str, line: str, *, replace: bool) -> bool:
        """Keep a search whose new results are those of contents embedded from now on.

        Returns:
            False, and nothing is changed, if the name is taken and not to be replaced.
        """
        with self._database.writing() as connection:
            taken = connection.execute(select(SavedSearch.id).where(SavedSearch.name == name)).first() is not None
            if taken and not replace:
                return False
            connection.execute(delete(SavedSearch).where(SavedSearch.name == name))
            latest = connection.execute(select(func.coalesce(func.max(Embedding.id), 0))).scalar_one()
            connection.execute(insert(SavedSearch).values(name=name, line=line, seen_embedding_id=latest))
        return True

    def remove(self, name: str) -> bool:
        """Forget a search; returns whether there was one of that name."""
        with self._database.writing() as connection:
            return connection.execute(delete(SavedSearch).where(SavedSearch.name == name)).rowcount > 0

    def embedding_ids(self) -> tuple[int, int]:
        """The oldest and the newest embedding of any model; 0 and 0 if there is none."""
        bounds = select(func.coalesce(func.min(Embedding.id), 0), func.coalesce(func.max(Embedding.id), 0))
        with self._database.reading() as connection:
            oldest, newest = connection.execute(bounds).one()
            return oldest, newest

    def mark_seen(self, name: str, embedding_id: int) -> None:
        """Say up to which embedding a search's new results have been looked at; never moves back."""
        older = (SavedSearch.name == name, SavedSearch.seen_embedding_id < embedding_id)
        with self._database.writing() as connection:
            connection.execute(update(SavedSearch).where(*older).values(seen_embedding_id=embedding_id))

    def known_contents(self, content_hashes: Collection[str], embedding_id: int) -> set[str]:
        """Which of these contents had been embedded, by any model, when that embedding was the newest."""
        known: set[str] = set()
        for chunk in chunks(sorted(set(content_hashes))):
            statement = select(Embedding.content_hash).where(
                Embedding.content_hash.in_(chunk), Embedding.id <= embedding_id
            )
            with self._database.reading() as connection:
                known.update(connection.execute(statement).scalars())
        return known
