"""Files beside pictures that say something of them: found while a folder is walked, read when they have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from clipsearch.catalog.records import METADATA_VERSION, SidecarRecord
from clipsearch.errors import ImageReadError
from clipsearch.media.decoding import read_image_bytes
from clipsearch.media.metadata.sidecar_names import match_sidecars
from clipsearch.media.metadata.sidecars import MAX_SIDECAR_BYTES, Beside
from clipsearch.text import Notify


class SidecarFile(NamedTuple):
    """A sidecar as it was found: name, size in bytes, and `clipsearch.system.file_times.stamp_of` its last change."""

    name: str
    size: int
    changed: int


class FolderSidecars:
    """The sidecars of one folder; each is looked at once, when the first picture that it belongs to is.

    Attributes:
        found: places of the sidecars in the list of names, by the name of their picture.
    """

    def __init__(self, names: Sequence[str], describe: Callable[[int], SidecarFile]) -> None:
        """Match them with the other files.

        Args:
            names: of everything in the folder.
            describe: asks the file system for one, by its place in `names`.
        """
        self.found = match_sidecars(names)
        self._describe = describe
        self._seen: dict[int, SidecarFile] = {}

    def of(self, picture: str) -> tuple[SidecarFile, ...]:
        """The sidecars of a picture, the first one first."""
        numbers = self.found.get(picture)
        return () if numbers is None else tuple([self._seen.get(number) or self._look_at(number) for number in numbers])

    def _look_at(self, number: int) -> SidecarFile:
        seen = self._seen[number] = self._describe(number)
        return seen


def sidecar_stamp(sidecars: Sequence[SidecarFile]) -> str | None:
    """Another text for every other state of a file's sidecars; ``None`` without any.

    A name is in it by its length, which tells the forms of sidecars of one picture apart.
    """
    if not sidecars:
        return None
    return f"{METADATA_VERSION}:" + ",".join([f"{len(name)}/{size}/{changed:x}" for name, size, changed in sidecars])


def read_sidecars(path: Path, sidecars: Sequence[SidecarFile], *, notify: Notify) -> SidecarRecord:
    """Read what a picture's sidecars say; one that cannot be read is passed over with a notice.

    Args:
        path: the picture's.
        sidecars: as they were found.
        notify: callback for one-line user notices.
    """
    beside = Beside()
    stamp = sidecar_stamp(sidecars)
    for sidecar in sidecars:
        place = path.parent / sidecar.name
        try:
            beside = beside.with_file(sidecar.name, read_image_bytes(place, limit=MAX_SIDECAR_BYTES))
        except ValueError as error:
            notify(f"skipping the sidecar {place}: {error}")
        except ImageReadError as error:
            notify(f"skipping the sidecar {place}: {error.reason}")
            if isinstance(error.__cause__, OSError):
                stamp = ""  # of no state: the next run tries again
    return SidecarRecord(stamp, beside.to_json())
