"""Which files beside a picture say something of it, by their names alone.

XMP files are named after the picture with its ending (``a.jpg.xmp``: darktable, digiKam) or without
(``a.xmp``: Lightroom, Capture One), which then belongs to every picture of that name. Google Takeout appends
``.supplemental-metadata.json``, formerly ``.json``, and cuts the name before ``.json`` at 46 characters, wherever that
falls; what makes it unique, ``(1)``, comes after the cut.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from clipsearch.text import composed

SIDECAR_SUFFIXES = (".xmp", ".json")
"""Lower-case endings of files that may be sidecars."""

_SUPPLEMENT = "supplemental-metadata"

_SHORTEST_CUT = 40
"""Characters of a name from which on it may have been cut: 46, and characters that count as several."""

_NUMBERED = re.compile(r"(.+)\((\d+)\)")
_EDITED = re.compile(
    r"(.+)-(?:edited|effects|smile|mix|animation|collage|edytowane|bearbeitet|bewerkt|編集済み|modificato|modifié|"
    r"ha editado|editat|editado|redigerad|redigeret|muokattu|изменено)"
)
"""What Google Photos appends to the name of an edited copy, which has no JSON of its own, in several languages."""


def is_sidecar(name: str) -> bool:
    """Whether a file of this name may be a sidecar."""
    return name.lower().endswith(SIDECAR_SUFFIXES)


def match_sidecars(names: Sequence[str]) -> dict[str, list[int]]:
    """The sidecars of each file of a folder that has any: XMP first, the name with the ending before the other.

    Args:
        names: of everything in the folder.

    Returns:
        Places in `names`, by file name.
    """
    folded = list(map(str.lower, names)) if "".join(names).isascii() else [composed(name).lower() for name in names]
    sidecars = [number for number, name in enumerate(folded) if name.endswith(SIDECAR_SUFFIXES)]
    sidecars_of: dict[str, list[int]] = {}
    if not sidecars:
        return sidecars_of
    folder = _Folder(names, folded)
    without_ending: list[tuple[int, list[str]]] = []
    takeout: list[tuple[int, list[str]]] = []
    for number in sidecars:
        name = folded[number]
        if name.endswith(".json"):
            takeout.append((number, folder.of_takeout(name[:-5])))
        elif pictures := folder.named(name[:-4]):
            for picture in pictures:
                sidecars_of.setdefault(picture, []).append(number)
        else:
            without_ending.append((number, folder.with_stem(name[:-4])))
    for number, pictures in without_ending + takeout:
        for picture in pictures:
            sidecars_of.setdefault(picture, []).append(number)
    return sidecars_of


class _Folder:
    """The files of a folder, by what their sidecars' names begin with; case and form of Unicode do not count."""

    def __init__(self, names: Sequence[str], folded: list[str]) -> None:
        self._folded, self._names = sorted(folded), names
        if self._folded != folded:  # a walk has names in order, which case and form may change
            order = sorted(range(len(folded)), key=folded.__getitem__)
            self._names = [names[number] for number in order]
        self._titles: dict[tuple[str, str], list[str]] = {}
        self._cut: dict[tuple[str, str], list[str]] = {}
        self._ordered_cut: list[tuple[str, str]] = []

    def named(self, name: str) -> list[str]:
        """The files of a name; there are several where the file system distinguishes case."""
        at = bisect_left(self._folded, name)
        return list(self._names[at : bisect_right(self._folded, name, at)])

    def with_stem(self, stem: str) -> list[str]:
        """The files of a name but for the ending."""
        start = f"{stem}."
        found, at = [], bisect_left(self._folded, start)
        while at < len(self._folded) and (name := self._folded[at]).startswith(start):
            if name.rfind(".") == len(stem) and not name.endswith(SIDECAR_SUFFIXES):
                found.append(self._names[at])
            at += 1
        return found

    def of_takeout(self, stem: str) -> list[str]:
        """The files of which Google's JSON of this name, without ``.json``, says something."""
        if not self._titles:
            self._read_titles()
        if own := self._of_title(stem, ""):
            return own
        numbered = _NUMBERED.fullmatch(stem)
        return self._of_title(numbered[1], numbered[2]) if numbered else []

    def _read_titles(self) -> None:
        for name, picture in zip(self._folded, self._names, strict=True):
            if name.endswith(SIDECAR_SUFFIXES):
                continue
            stem, _, ending = name.rpartition(".")
            for base, number in _bases(stem):
                for title in (f"{base}.{ending}", base):
                    self._titles.setdefault((number, title), []).append(picture)
                last = (number, f"{base}.{ending}")
            self._cut.setdefault(last, []).append(picture)
        self._ordered_cut = sorted(self._cut)

    def _of_title(self, text: str, number: str) -> list[str]:
        """The pictures of a title, which has the supplement behind it, or part of it, or was itself cut."""
        title, dot, supplement = text.rpartition(".")
        if dot and _SUPPLEMENT.startswith(supplement) and (found := self._titled(title, number)):
            return found
        if found := self._titled(text, number):
            return found
        cut = title if dot and _SUPPLEMENT.startswith(supplement) else text
        return self._beginning_with(cut, number) if len(text) >= _SHORTEST_CUT else []

    def _titled(self, title: str, number: str) -> list[str]:
        return self._titles.get((number, title), [])

    def _beginning_with(self, text: str, number: str) -> list[str]:
        """The pictures whose title was cut to a text, unless that may be several titles."""
        at = bisect_left(self._ordered_cut, (number, text))
        keys = [key for key in self._ordered_cut[at : at + 2] if key[0] == number and key[1].startswith(text)]
        return self._cut[keys[0]] if len(keys) == 1 else []


def _bases(stem: str) -> Iterator[tuple[str, str]]:
    """The titles that a picture may have in Google Photos, without ending, each with its number; the likeliest last."""
    yield stem, ""
    base, number = stem, ""
    if stem.endswith(")") and (numbered := _NUMBERED.fullmatch(stem)):
        base, number = numbered[1], numbered[2]
        yield base, number
    if "-" in base and (edited := _EDITED.fullmatch(base)):
        yield edited[1], number
