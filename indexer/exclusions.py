"""What of a folder is not indexed: patterns that a person gave, and other programs' private folders."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# fmt: off
PRIVATE_FOLDERS = frozenset(
    {
        # bins
        "$recycle.bin", "recycler", "recycled", "recycle.bin", "#recycle", "@recycle", "trashbox",
        "network trash folder", "files_trashbin",
        # snapshots and versions
        "#snapshot", "@snapshot", "@snapshots", "~snapshot", "@recently-snapshot", "backups.backupdb", "files_versions",
        # systems and network drives
        "system volume information", "lost+found", "@eadir", "@tmp", "@sharebin", "@sharesnap", "temporary items",
        "temporaryitems", "lost.dir",
        # photo programs: caches and settings, no photographs
        "captureone",
        # programs
        "node_modules", "__pycache__", "site-packages",
    }
)
"""Lower-case names of folders that hold nobody's photographs, or only copies of them."""

PRIVATE_PREFIXES = ("@gmt-", "appdata_")
"""Lower-case beginnings of such names: Samba's snapshots, Nextcloud's previews."""

PRIVATE_SUFFIXES = (
    ".lrdata", ".lrcat-data", ".app", ".framework", ".bundle", ".xcassets", ".theater",
)
"""Lower-case endings of such names: Lightroom's and Mylio's previews, programs."""

PRIVATE_PATHS = ("google photos/trash", "google photos/bin", "android/data", "android/obb")
"""Lower-case ends of the paths of folders whose own names are anybody's: the bin in a Google Takeout, what Android's
programs keep for themselves. Messengers have their pictures in ``Android/media``."""

PACKAGES = {
    ".photoslibrary": ("originals", "masters"),
    ".photolibrary": ("originals", "masters"),
    ".migratedphotolibrary": ("originals", "masters"),
    ".aplibrary": ("masters",),
    ".migratedaplibrary": ("masters",),
    ".lrlibrary": ("originals", "*/originals"),
    ".cocatalog": ("originals",),
    ".imovielibrary": ("*/original media",),
    ".fcpbundle": ("*/original media",),
    "iphoto library": ("originals", "masters"),
    "aperture library": ("masters",),
}
"""Lower-case endings of the names of folders that are a program's library, and which folders in it have originals."""
# fmt: on

MARKER = ".nomedia"
"""A file of this name says that its folder, and what is below, is nothing to look at; Android's convention."""


_PRIVATE_ENDS = tuple(f"/{path}" for path in PRIVATE_PATHS)


class Exclusions:
    """What of one root is not indexed."""

    def __init__(self, patterns: Iterable[str] = (), *, defaults: bool = True, root_name: str = "") -> None:
        """Bind the rules.

        Args:
            patterns: in gitignore's syntax, relative to the root; the last one that matches decides. A negated one
                that names a hidden or private entry undoes these rules as well; ``!*.jpg`` and ``!*/`` name none.
            defaults: leave out other programs' private folders, and folders with a `MARKER`.
            root_name: the root's own name: it may be a program's library itself.
        """
        self._patterns = list(patterns)
        self._spec = _compile(self._patterns)
        self._defaults = defaults
        self._root_name = root_name

    @property
    def has_patterns(self) -> bool:
        """Whether there is more to look at in a file's name than whether it is hidden."""
        return self._spec is not None

    def excludes(self, relative: str, *, is_folder: bool) -> bool:
        """Whether an entry is not indexed; what is above it is not looked at.

        Args:
            relative: its path from the root, parts joined by ``/``.
            is_folder: whether it is a folder.
        """
        name = relative[relative.rfind("/") + 1 :]
        decided = self._decided(relative, is_folder=is_folder) if self._spec is not None else None
        if decided is not None and not decided.startswith("!"):
            return True
        if name[0] == ".":
            return decided is None or "/." not in decided.replace("!", "/", 1)
        if not is_folder or not self._defaults or (decided is not None and _names(decided)):
            return False
        return is_private(name) or self._has_private_path(relative) or self._is_in_package(relative)

    def excludes_marked(self, relative: str, names: Collection[str]) -> bool:
        """Whether a folder that holds files of these names is not indexed because one of them is a `MARKER`.

        The root itself was named by a person, who knows better.
        """
        if not self._defaults or not relative or MARKER not in names:
            return False
        decided = self._decided(relative, is_folder=True) if self._spec is not None else None
        return decided is None or not _names(decided)

    def excludes_path(self, relative: str) -> bool:
        """Whether a folder or one above it is not indexed, by name."""
        parents = [parent.as_posix() for parent in PurePosixPath(relative).parents][-2::-1]
        return bool(relative) and any(self.excludes(path, is_folder=True) for path in (*parents, relative))

    def _decided(self, relative: str, *, is_folder: bool) -> str | None:
        """The pattern that decides; ``None`` if none matches."""
        assert self._spec is not None
        path = relative if relative.isascii() else unicodedata.normalize("NFC", relative)
        index = self._spec.check_file(f"{path}/" if is_folder else path).index
        return None if index is None else self._patterns[index]

    def _has_private_path(self, relative: str) -> bool:
        return f"/{self._root_name}/{relative}".lower().endswith(_PRIVATE_ENDS)

    def _is_in_package(self, relative: str) -> bool:
        """Whether a folder is in a program's library, and neither holds originals nor leads to them."""
        parts = [self._root_name.lower(), *relative.lower().split("/")]
        for depth, part in enumerate(parts[:-1], start=1):
            ways = next((ways for ending, ways in PACKAGES.items() if _is_package(part, ending)), None)
            if ways is not None:
                return not any(_is_on_way(parts[depth:], way.split("/")) for way in ways)
        return False


def is_private(name: str) -> bool:
    """Whether a folder of this name belongs to a program or a system, and holds nobody's photographs."""
    lower = name.lower()
    return lower in PRIVATE_FOLDERS or lower.startswith(PRIVATE_PREFIXES) or lower.endswith(PRIVATE_SUFFIXES)


def _names(pattern: str) -> bool:
    """Whether a pattern names an entry: ``!*/`` and ``!**`` match whatever there is."""
    return bool(pattern.strip("!*/"))


def _is_package(name: str, ending: str) -> bool:
    return name.endswith(ending) if ending.startswith(".") else name == ending


def _is_on_way(parts: list[str], way: list[str]) -> bool:
    """Whether a path leads to a folder or lies in it, as far as both go."""
    return all(step in ("*", part) for part, step in zip(parts, way, strict=False))


def _compile(patterns: list[str]) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)
