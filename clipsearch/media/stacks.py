"""Files that are one photograph: RAW and JPEG of one exposure, a Live Photo and its film, a photo and its edit.

They lie in one folder and share the stem of their names. What is known of them must not speak against it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import combinations
from pathlib import Path

from clipsearch.media.raw import RAW_SUFFIXES

_JPEG, _HEIC, _FILM = (".jpg", ".jpeg", ".jpe"), (".heic", ".heif", ".hif"), (".mov", ".mp4")
_PHOTO = _JPEG + _HEIC
_STACKED = RAW_SUFFIXES.union(_JPEG, _HEIC, _FILM)

_EDITED = re.compile(r"img_e(\d{4,})")
"""An iPhone exports the edit of ``IMG_1234`` as ``IMG_E1234``."""

_MAX_SECONDS_APART = 2.0
_MAX_FILM_BYTES = 40 * 2**20
"""A Live Photo's film has three seconds; one that is larger is a film of its own."""

_LEAST_LIKENESS = 0.3
"""Correlation at 8×8 pixels below which two pictures of one name are two photographs."""


@dataclass(frozen=True)
class StackFile:
    """A file that may be in a stack.

    Attributes:
        path: absolute.
        key: `stack_key` of its relative path.
        size: in bytes.
        embedding_id: of its content as a whole; ``None`` of a film.
        taken_at: on the camera's clock, if known.
        camera: make and model, if known.
        fingerprint: of `clipsearch.media.perceptual_hash`, if known.
    """

    path: Path
    key: str
    size: int
    embedding_id: int | None = None
    taken_at: datetime | None = None
    camera: str | None = None
    fingerprint: bytes | None = None

    @property
    def suffix(self) -> str:
        """The ending of its name, in small letters."""
        return self.path.suffix.lower()

    @property
    def is_picture(self) -> bool:
        """It is neither a RAW file nor a film."""
        return self.suffix in _PHOTO

    @property
    def is_edited(self) -> bool:
        """It is a phone's export of an edit."""
        return _EDITED.fullmatch(self.path.stem.casefold()) is not None


def stack_key(relative_path: str) -> str | None:
    """What the files of a stack have in common: folder and stem; ``None`` for files that are in no stack.

    >>> stack_key("a/DSC1.ARW"), stack_key("a/dsc1.jpg"), stack_key("a/DSC1.ARW.jpg"), stack_key("IMG_E1234.HEIC")
    ('a/dsc1', 'a/dsc1', 'a/dsc1', 'img_1234')
    """
    folder, slash, name = relative_path.rpartition("/")
    stem, _, suffix = name.rpartition(".")
    if not stem or f".{suffix.lower()}" not in _STACKED:
        return None
    inner, _, inner_suffix = stem.rpartition(".")
    if inner and f".{inner_suffix.lower()}" in _STACKED:
        stem = inner
    stem = unicodedata.normalize("NFC", stem).casefold()
    if edited := _EDITED.fullmatch(stem):
        stem = f"img_{edited[1]}"
    return f"{folder}{slash}{stem}"


class FilmNames:
    """Which films of one folder are the moving part of a photo beside them, by their names and sizes."""

    def __init__(self, names: Sequence[str]) -> None:
        """Bind the names of everything in the folder."""
        self._names = names

    @cached_property
    def _keys_of_photos(self) -> frozenset[str | None]:
        return frozenset(stack_key(name) for name in self._names if _suffix_of(name) in _PHOTO)

    def is_of_photo(self, name: str, size: int) -> bool:
        """Whether a film belongs to the stack of a photo, which is found instead of it.

        Args:
            name: of a file of the folder.
            size: in bytes.
        """
        return _suffix_of(name) in _FILM and size <= _MAX_FILM_BYTES and stack_key(name) in self._keys_of_photos


def _suffix_of(name: str) -> str:
    return name[name.rfind(".") :].lower()


def stacks_of(files: Sequence[StackFile]) -> Iterator[tuple[StackFile, ...]]:
    """The stacks among files of one root, two files or more each, the one to show first.

    That is the edit, then the JPEG or HEIC, then the RAW file, then the film.
    """
    by_key: dict[str, list[StackFile]] = {}
    for file in sorted(files, key=_order):
        by_key.setdefault(file.key, []).append(file)
    for candidates in by_key.values():
        groups: list[list[StackFile]] = [[file] for file in candidates]
        for one, other in combinations(candidates, 2):
            first = next(group for group in groups if one in group)
            second = next(group for group in groups if other in group)
            if first is not second and _belong_together(one, other):
                first += second
                groups.remove(second)
        yield from (tuple(sorted(group, key=_order)) for group in groups if len(group) > 1)


def _order(file: StackFile) -> tuple[int, str]:
    rank = (0 if file.is_edited else 1) if file.is_picture else (2 if file.suffix in RAW_SUFFIXES else 3)
    return rank, str(file.path)


def _belong_together(one: StackFile, other: StackFile) -> bool:
    """Whether two files of one key are one photograph; the first is never behind the second in `_order`."""
    if other.suffix in _FILM:
        return one.is_picture and other.size <= _MAX_FILM_BYTES
    if not _agree(one, other):
        return False
    if one.is_picture and other.suffix in RAW_SUFFIXES:
        return _look_alike(one, other)
    if one.is_edited != other.is_edited:
        return True  # an edit may look like another photograph
    # two pictures, or two RAW files: the name alone says nothing
    return one.suffix != other.suffix and one.taken_at is not None and one.taken_at == other.taken_at


def _agree(one: StackFile, other: StackFile) -> bool:
    """Whether nothing that is known of both speaks against one exposure."""
    if one.camera and other.camera and one.camera.casefold() != other.camera.casefold():
        return False
    if one.taken_at is None or other.taken_at is None:
        return True
    return abs((one.taken_at - other.taken_at).total_seconds()) <= _MAX_SECONDS_APART


def _look_alike(one: StackFile, other: StackFile) -> bool:
    """Whether two pictures may show the same; what has no fingerprint, or one color only, may."""
    if one.fingerprint is None or other.fingerprint is None:
        return True
    from clipsearch.media.perceptual_hash import coarse_vectors, stack_fingerprints

    first, second = coarse_vectors(stack_fingerprints([one.fingerprint, other.fingerprint]))
    return not first.any() or not second.any() or float(first @ second) >= _LEAST_LIKENESS
