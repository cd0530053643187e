"""Saved searches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, update

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.database import Repository
from clipsearch.catalog.tables import Embedding, SavedSearch


@dataclass(frozen=True)
class SavedSearchRecord:
    """A saved search.

    Attributes:
        name: unique in the library.
        line: the query's canonical line.
        saved_at: with time zone.
        seen_embedding_id: the newest embedding when its new results were last viewed; 0 if there was none.
    """

    name: str
    line: str
    saved_at: datetime
    seen_embedding_id: int


class SavedSearchRepository(Repository):
    """The saved searches of a catalog; `Catalog.saved`.

    Writing needs no writer's lock, because no cache depends on this table.
    """

    def all(self) -> list[SavedSearchRecord]:
        """All saved searches, by name."""
        columns = (SavedSearch.name, SavedSearch.line, SavedSearch.saved_at, SavedSearch.seen_embedding_id)
        with self._database.reading() as connection:
            return [
                # SQLite drops the time zone of UTC timestamps
                SavedSearchRecord(name, line, saved_at.replace(tzinfo=UTC), seen)
                for name, line, saved_at, seen in connection.execute(select(*columns).order_by(SavedSearch.name))
            ]

    def put(self, name: str, line: str, *, replace: bool) -> bool:
        """Save a search, whose new results are contents embedded from now on.

        Returns:
            False, without changes, if the name exists and `replace` is False.
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
        """Delete a search; returns whether it existed."""
        with self._database.writing() as connection:
            return connection.execute(delete(SavedSearch).where(SavedSearch.name == name)).rowcount > 0

    def embedding_ids(self) -> tuple[int, int]:
        """Ids of the oldest and newest embedding of any model; 0 if there is none."""
        bounds = select(func.coalesce(func.min(Embedding.id), 0), func.coalesce(func.max(Embedding.id), 0))
        with self._database.reading() as connection:
            oldest, newest = connection.execute(bounds).one()
            return oldest, newest

    def mark_seen(self, name: str, embedding_id: int) -> None:
        """Record the embedding up to which a search's new results were viewed; never decreases."""
        older = (SavedSearch.name == name, SavedSearch.seen_embedding_id < embedding_id)
        with self._database.writing() as connection:
            connection.execute(update(SavedSearch).where(*older).values(seen_embedding_id=embedding_id))

    def known_contents(self, content_hashes: Collection[str], embedding_id: int) -> set[str]:
        """The contents that any model had embedded up to an embedding."""
        known: set[str] = set()
        for chunk in chunks(sorted(set(content_hashes))):
            statement = select(Embedding.content_hash).where(
                Embedding.content_hash.in_(chunk), Embedding.id <= embedding_id
            )
            with self._database.reading() as connection:
                known.update(connection.execute(statement).scalars())
        return known
