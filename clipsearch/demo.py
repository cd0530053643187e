"""The demo's photographs: those that come with scikit-image and scikit-learn."""

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
        "color.png",  # a colour wheel
        "horse.png",  # a silhouette
        "logo.png",  # drawn
        "microaneurysms.png",  # a crop 102 pixels wide
        "multipage.tif",  # 10 × 15 pixels
        "multipage_rgb.tif",  # a few pixels, in a layout Pillow cannot read
        "no_time_for_that_tiny.gif",  # 14 × 25 pixels
        "phantom.png",  # drawn: a head for tomography
    }
)
"""Pictures among the packages' data that are drawn, or too small to show anything."""

_SOURCES = (("skimage", Path("data"), "scikit-image"), ("sklearn", Path("datasets/images"), "scikit-learn"))
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff"})


def find_photographs() -> list[Path]:
    """The photographs that the installed scikit-image and scikit-learn bring along, without importing either.

    Raises:
        ConfigError: the extra `demo` is not installed, or the packages bring none.
    """
    require_extra("demo", what="the demo")
    found = []
    for package, folder, _ in _SOURCES:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            files = sorted((Path(place) / folder).glob("*"))
            found += [file for file in files if file.suffix.lower() in _SUFFIXES and file.name not in NOT_PHOTOGRAPHS]
    if not found:
        names = " ".join(name for *_, name in _SOURCES)
        raise ConfigError(f"the demo's photographs are missing; install them with: pip install {names}")
    return found


def copy_photographs(folder: Path) -> int:
    """Copy the photographs into a folder, which is made if it is not there. Returns how many they are.

    Raises:
        ConfigError: they are missing, or the folder cannot be written to.
    """
    photographs = find_photographs()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photograph in photographs:
            if not (folder / photograph.name).exists():  # a copy anew would look changed
                shutil.copyfile(photograph, folder / photograph.name)
    except OSError as error:
        raise ConfigError(f"cannot write the demo's photographs into {folder}: {error.strerror or error}") from error
    return len(photographs)
