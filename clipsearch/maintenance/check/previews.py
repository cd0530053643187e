"""The previews against the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clipsearch.errors import ImageReadError
from clipsearch.maintenance.check.findings import Checkup, Finding
from clipsearch.media.decoding import content_hash, decode_image, load_image, read_image_bytes
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, THUMBNAILS_NAME, thumbnail_path, write_thumbnail

_SHARDS = tuple(f"{number:02x}" for number in range(256))
"""Previews are looked at folder by folder, which bounds the memory."""


@dataclass(frozen=True)
class _Shard:
    """The previews whose hash begins alike, against the catalog; each a content hash, but for `stray`.

    Attributes:
        damaged: that cannot be decoded.
        stray: of no content of the catalog.
        missing: contents that a file holds.
    """

    damaged: list[str] = field(default_factory=list)
    stray: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check_previews(checkup: Checkup) -> Iterator[Finding]:
    """Look for previews that are damaged, missing, or of nothing."""
    share = _share(checkup)
    shards = [_compare(checkup, shard, share=share) for shard in _SHARDS]
    damaged = [item for shard in shards for item in shard.damaged]
    stray = [item for shard in shards for item in shard.stray]
    missing = [item for shard in shards for item in shard.missing]
    if damaged:
        yield Finding(
            "preview-damaged",
            len(damaged),
            "preview",
            "that cannot be decoded",
            f"{damaged[0]}.jpg",
            "repairing makes them again from the pictures, or deletes them where those are offline",
            is_damage=True,
            repairable=True,
        )
    if stray:
        yield Finding(
            "preview-stray",
            len(stray),
            "preview",
            "of no picture in the catalog",
            stray[0].name,
            "repairing deletes them",
            is_damage=False,
            repairable=True,
        )
    if missing:
        path = next((path for _, path in checkup.store.upkeep.files_holding(missing[:1])), None)
        yield Finding(
            "preview-missing",
            len(missing),
            "picture",
            "without a preview",
            str(path) if path is not None else None,
            "repairing makes it again, where the picture is there and can be read",
            is_damage=False,
            repairable=True,
        )


def mend_previews(checkup: Checkup) -> None:
    """Delete previews that are damaged or of nothing, and make missing ones again from files that are there."""
    checkup.notify("making missing previews again")
    for shard in _SHARDS:
        compared = _compare(checkup, shard, share=1.0)
        for path in compared.stray:
            path.unlink(missing_ok=True)
        for digest in compared.damaged:
            thumbnail_path(checkup.store.directory, digest).unlink(missing_ok=True)
        wanted = set(compared.missing + compared.damaged)
        for digest, path in checkup.store.upkeep.files_holding(sorted(wanted)):
            if digest in wanted and _make_again(checkup.store.directory, digest, path):
                wanted.remove(digest)  # its copies need not be read


def count_previews(library: Path) -> int:
    """How many previews a library has."""
    return sum(1 for _ in (library / THUMBNAILS_NAME).glob("??/*.jpg"))


def _share(checkup: Checkup) -> float:
    """The share of previews to decode for the sample that is wanted."""
    if checkup.sample is None:
        return 1.0
    return min(1.0, checkup.sample / max(1, count_previews(checkup.store.directory)))


def _compare(checkup: Checkup, shard: str, *, share: float) -> _Shard:
    known = checkup.store.upkeep.known_contents(shard)
    result = _Shard()
    there = set()
    for path in sorted((checkup.store.directory / THUMBNAILS_NAME / shard).glob("*.jpg")):
        there.add(path.stem)
        if path.stem not in known:
            result.stray.append(path)
        elif not path.stat().st_size or (checkup.random.random() < share and not _can_be_decoded(path)):
            result.damaged.append(path.stem)
    result.missing.extend(digest for digest, held in known.items() if held and digest not in there)
    return result


def _can_be_decoded(path: Path) -> bool:
    try:
        load_image(path)
    except ImageReadError:
        return False
    return True


def _make_again(library: Path, digest: str, path: Path) -> bool:
    """Make a preview from a file, if that still holds the content."""
    try:
        content = read_image_bytes(path)
        if content_hash(content) != digest:
            return False
        write_thumbnail(library, digest, decode_image(content, path=path, min_longest=THUMBNAIL_SIDE).image)
    except ImageReadError:
        return False
    return True
