"""The photographs of the demo, which come with scikit-image and scikit-learn."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import require_extra

NOT_PHOTOGRAPHS = frozenset(
    {
        "chessboard_GRAY.png",  # drawn
        "chessboard_RGB.png",  # drawn
        "color.png",  # a color wheel
        "horse.png",  # a silhouette
        "logo.png",  # drawn
        "microaneurysms.png",  # a crop 102 pixels wide
        "multipage.tif",  # 10 × 15 pixels
        "multipage_rgb.tif",  # a few pixels, in a layout Pillow cannot read
        "no_time_for_that_tiny.gif",  # 14 × 25 pixels
        "phantom.png",  # drawn: a head for tomography
    }
)
"""Bundled pictures that are drawings, or too small."""

_SOURCES = (("skimage", Path("data"), "scikit-image"), ("sklearn", Path("datasets/images"), "scikit-learn"))
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff"})


def find_photographs() -> list[Path]:
    """The photographs of the installed packages, found without importing them.

    Raises:
        ConfigError: the extra `demo` is not installed, or the packages have no photographs.
    """
    require_extra("demo", what="the demo")
    photographs = []
    for package, folder, _ in _SOURCES:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            files = sorted((Path(place) / folder).glob("*"))
            photographs += [
                file for file in files if file.suffix.lower() in _SUFFIXES and file.name not in NOT_PHOTOGRAPHS
            ]
    if not photographs:
        names = " ".join(name for *_, name in _SOURCES)
        raise ConfigError(f"the demo's photographs are missing; install them with: pip install {names}")
    return photographs


def copy_photographs(folder: Path) -> int:
    """Copy the photographs into a folder, which is created if necessary; returns their number.

    Raises:
        ConfigError: they are missing, or the folder cannot be written to.
    """
    photographs = find_photographs()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photograph in photographs:
            if not (folder / photograph.name).exists():  # a new copy would count as changed
                shutil.copyfile(photograph, folder / photograph.name)
    except OSError as error:
        raise ConfigError(f"cannot write the demo's photographs into {folder}: {error.strerror or error}") from error
    return len(photographs)
