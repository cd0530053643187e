"""Taking the tags of contents out of a catalog, and putting such tags back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from clipsearch.catalog.chunks import chunks
from clipsearch.catalog.tables import ContentTag, TagDecision


@dataclass(frozen=True)
class ExchangedTag:
    """What a catalog says of a tag on a content.

    Attributes:
        tag: its one name.
        score: that the model gave it; ``None`` from a person.
        present: whether it fits; a person may have said that it does not.
    """

    tag: str
    score: float | None = None
    present: bool = True


def exchanged_tags(
    connection: Connection, content_hashes: Sequence[str], model_id: int | None
) -> dict[str, tuple[ExchangedTag, ...]]:
    """The tags of contents, by content hash: a person's and a model's, by name.

    Args:
        connection: to the catalog.
        content_hashes: no more than fit into a statement (`clipsearch.catalog.chunks`).
        model_id: the model; ``None`` for no model's.
    """
    tags: dict[str, list[ExchangedTag]] = {}
    said = select(TagDecision.content_hash, TagDecision.tag, TagDecision.present)
    for content_hash, tag, present in connection.execute(said.where(TagDecision.content_hash.in_(content_hashes))):
        tags.setdefault(content_hash, []).append(ExchangedTag(tag, present=present))
    model_tags = select(ContentTag.content_hash, ContentTag.tag, ContentTag.score)
    of_model = model_tags.where(ContentTag.content_hash.in_(content_hashes), ContentTag.model_id == model_id)
    for content_hash, tag, score in connection.execute(of_model):
        tags.setdefault(content_hash, []).append(ExchangedTag(tag, score))
    return {
        content_hash: tuple(sorted(own, key=lambda tag: (tag.tag, tag.score is not None)))
        for content_hash, own in tags.items()
    }


def add_tags(connection: Connection, tags: Mapping[str, Sequence[ExchangedTag]], model_id: int | None) -> None:
    """Add tags: a person's where nobody has said anything of them, the model's where it has given none."""
    decided: set[tuple[str, str]] = set()
    tagged: set[str] = set()
    for chunk in chunks(list(tags)):
        known = select(TagDecision.content_hash, TagDecision.tag).where(TagDecision.content_hash.in_(chunk))
        decided.update((content_hash, tag) for content_hash, tag in connection.execute(known))
        with_model_tags = select(ContentTag.content_hash).where(
            ContentTag.model_id == model_id, ContentTag.content_hash.in_(chunk)
        )
        tagged.update(connection.execute(with_model_tags).scalars())
    said = [
        {"content_hash": content_hash, "tag": tag.tag, "present": tag.present}
        for content_hash, own in tags.items()
        for tag in own
        if tag.score is None and (content_hash, tag.tag) not in decided
    ]
    fresh = [
        {"content_hash": content_hash, "model_id": model_id, "tag": tag.tag, "score": tag.score}
        for content_hash, own in tags.items()
        for tag in own
        if tag.score is not None and content_hash not in tagged
    ]
    if said:
        connection.execute(insert(TagDecision), said)
    if fresh and model_id is not None:
        connection.execute(insert(ContentTag), fresh)
