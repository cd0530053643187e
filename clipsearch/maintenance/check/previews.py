"""Check the previews against the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipsearch.errors import ImageReadError
from clipsearch.maintenance.check.findings import Checkup, Finding, finding
from clipsearch.media.decoding import load_image
from clipsearch.media.loading import open_media
from clipsearch.media.thumbnails import THUMBNAIL_SIDE, THUMBNAILS_NAME, thumbnail_path, write_thumbnail

_FEW = 10_000
"""Images whose previews are checked all at once; those of more folder by folder, which bounds memory."""


@dataclass(frozen=True)
class _Found:
    """The findings of one comparison.

    Attributes:
        damaged: content hashes of previews that cannot be decoded.
        stray: previews of no content in the catalog.
        missing: content hashes of pictures without a preview.
    """

    damaged: list[str] = field(default_factory=list)
    stray: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check_previews(checkup: Checkup) -> Iterator[Finding]:
    """Look for damaged, stray and missing previews."""
    share = _share(checkup)
    compared = [_compare(checkup, folder, share=share) for folder in _folders(checkup)]
    damaged = [item for found in compared for item in found.damaged]
    stray = [item for found in compared for item in found.stray]
    missing = [item for found in compared for item in found.missing]
    if damaged:
        yield finding("preview-damaged", len(damaged), f"{damaged[0]}.jpg")
    if stray:
        yield finding("preview-stray", len(stray), stray[0].name)
    if missing:
        path = next((path for _, path in checkup.store.upkeep.files_holding(missing[:1])), None)
        yield finding("preview-missing", len(missing), str(path) if path is not None else None)


def repair_previews(checkup: Checkup) -> None:
    """Delete damaged and stray previews, and make missing ones from files that are online."""
    checkup.notify("making missing previews")
    for folder in _folders(checkup):
        compared = _compare(checkup, folder, share=1.0)
        for path in compared.stray:
            path.unlink(missing_ok=True)
        for digest in compared.damaged:
            thumbnail_path(checkup.store.directory, digest).unlink(missing_ok=True)
        missing = set(compared.missing + compared.damaged)
        for digest, path in checkup.store.upkeep.files_holding(sorted(missing)):
            if digest in missing and _make_preview(checkup.store.directory, digest, path):
                missing.remove(digest)  # its copies need not be read


def count_previews(library: Path) -> int:
    """Number of previews of a library."""
    return sum(1 for _ in (library / THUMBNAILS_NAME).glob("??/*.jpg"))


def _share(checkup: Checkup) -> float:
    """The share of previews to decode for the requested sample."""
    if checkup.sample is None:
        return 1.0
    return min(1.0, checkup.sample / max(1, count_previews(checkup.store.directory)))


def _folders(checkup: Checkup) -> Sequence[str]:
    """The names of the folders of previews to compare one after the other; an empty one stands for all of them."""
    return [""] if checkup.store.counts().images <= _FEW else [f"{number:02x}" for number in range(256)]


def _compare(checkup: Checkup, folder: str, *, share: float) -> _Found:
    known = checkup.store.upkeep.known_contents(folder)
    result = _Found()
    present = set()
    for path in sorted((checkup.store.directory / THUMBNAILS_NAME).glob(f"{folder or '??'}/*.jpg")):
        present.add(path.stem)
        if path.stem not in known:
            result.stray.append(path)
        elif not path.stat().st_size or (checkup.random.random() < share and not _can_be_decoded(path)):
            result.damaged.append(path.stem)
    result.missing.extend(digest for digest, has_file in known.items() if has_file and digest not in present)
    return result


def _can_be_decoded(path: Path) -> bool:
    try:
        load_image(path)
    except ImageReadError:
        return False
    return True


def _make_preview(library: Path, digest: str, path: Path) -> bool:
    """Make a preview from a file, unless the file has changed."""
    try:
        file = open_media(path)
        if file.content_hash != digest:
            return False
        write_thumbnail(library, digest, file.picture(min_longest=THUMBNAIL_SIDE))
    except ImageReadError:
        return False
    return True
