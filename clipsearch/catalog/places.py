"""Names of the places at which pictures were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, false, select

from clipsearch.catalog.database import Repository
from clipsearch.catalog.portable_sql import upsert
from clipsearch.catalog.tables import Content, ContentPlace, Place
from clipsearch.catalog.text_documents import refresh_documents
from clipsearch.media.metadata.gazetteer import NamedPlace, place_name


class PlaceRepository(Repository):
    """Places of contents; `Catalog.places`."""

    def are_all_unnamed(self) -> bool:
        """Whether there are contents with coordinates, and the place of none was looked for."""
        with self._database.reading() as connection:
            if connection.execute(select(ContentPlace.content_hash).limit(1)).first() is not None:
                return False
        return bool(self.unnamed(limit=1)[0])

    def unnamed(self, *, limit: int) -> tuple[list[str], NDArray[np.float64]]:
        """Contents with coordinates whose place was not looked for, or that have others since.

        Returns:
            Their hashes, at most `limit`; degrees north and east, float64 [n, 2].
        """
        same = ContentPlace.of_content()
        statement = (
            select(Content.content_hash, Content.latitude, Content.longitude)
            .outerjoin(ContentPlace, same)
            .where(Content.latitude.is_not(None), Content.longitude.is_not(None), ContentPlace.content_hash.is_(None))
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        hashes = [content_hash for content_hash, _, _ in rows]
        return hashes, np.array([place for _, *place in rows], dtype=np.float64).reshape(len(rows), 2)

    def write(
        self,
        content_hashes: Sequence[str],
        coordinates: NDArray[np.float64],
        places: Sequence[NamedPlace | None],
    ) -> None:
        """Save the places of contents, ``None`` for those that have none, in one transaction."""
        named: Mapping[str, NamedPlace] = {place.id: place for place in places if place is not None}
        rows = [
            {
                "content_hash": content_hash,
                "latitude": float(latitude),
                "longitude": float(longitude),
                "place_id": place.id if place is not None else None,
            }
            for content_hash, (latitude, longitude), place in zip(content_hashes, coordinates, places, strict=True)
        ]
        with self._database.writing() as connection:
            if named:
                values = [
                    {
                        "id": place.id,
                        "label": place.label,
                        "town": place.town,
                        "region": place.region,
                        "country": place.country,
                        "names": "\n".join(["", *sorted(place.names), ""]),
                    }
                    for place in named.values()
                ]
                connection.execute(upsert(connection, Place).on_conflict_do_nothing(), values)
            statement = upsert(connection, ContentPlace)
            fresh = {name: statement.excluded[name] for name in ("latitude", "longitude", "place_id")}
            connection.execute(statement.on_conflict_do_update(index_elements=["content_hash"], set_=fresh), rows)
            refresh_documents(connection, content_hashes)


def is_in_place(value: str) -> ColumnElement[bool]:
    """Whether a content was taken in a place of that name; of several names with commas, in all of them."""
    names = [name for part in value.split(",") if (name := place_name(part))]
    named = select(Place.id).where(*(Place.names.contains(f"\n{name}\n", autoescape=True) for name in names))
    inside = select(ContentPlace.place_id).where(ContentPlace.of_content(), ContentPlace.place_id.in_(named))
    return inside.correlate(Content).exists() if names else false()
