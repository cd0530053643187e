"""The matching seconds of video results as clips in a folder; nothing is overwritten."""

from __future__ import annotations

import filecmp
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.cli.copy_results import free_names
from clipsearch.errors import ConfigError, ImageReadError
from clipsearch.text import Notify

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchResult


@dataclass(frozen=True)
class CutClips:
    """Numbers of results: clips whose packets were copied, clips encoded again, present before, photos, failed."""

    copied: int
    encoded: int
    present: int
    photos: int
    failed: int


def cut_clips(results: Sequence[SearchResult], folder: Path, *, margin_s: float, notify: Notify) -> CutClips:
    """Write the matching seconds of videos into a folder.

    A clip has the name of its video and the seconds: ``film 83.0-91.5.mp4``; ``-2``, ``-3`` and so on is added if the
    name is taken by another file.

    Args:
        results: photos among them are passed over.
        folder: created if it does not exist.
        margin_s: seconds more on both sides of a match.
        notify: callback for one-line user notices: videos that are offline or cannot be read.

    Raises:
        ConfigError: the folder cannot be created, or not written to.
    """
    counts: Counter[str] = Counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".clips-") as unfinished:
            for result in results:
                counts[_cut(result, folder, Path(unfinished), margin_s, notify)] += 1
    except OSError as error:
        raise ConfigError(f"cannot write clips into {folder}: {error.strerror or error}") from error
    return CutClips(*(counts[name] for name in ("copied", "encoded", "present", "photos", "failed")))


def _cut(result: SearchResult, folder: Path, unfinished: Path, margin_s: float, notify: Notify) -> str:
    """Write one clip; returns what became of it, a field of `CutClips`."""
    from clipsearch.media.video.clips import plan_clip

    if result.duration_s is None or result.segment.start_s is None or result.segment.end_s is None:
        return "photos"
    try:
        if not result.online:
            raise ImageReadError(result.path, "its drive is not connected")
        clip = plan_clip(result.path, result.segment.start_s, result.segment.end_s, margin_s=margin_s)
        written = unfinished / f"clip{clip.suffix}"
        clip.write(written)
    except ImageReadError as error:
        notify(f"skipping {error}")
        return "failed"
    name = f"{result.path.stem} {clip.start_s:.1f}-{clip.end_s:.1f}{clip.suffix}"
    for target in free_names(folder, name):
        if not target.exists():
            written.rename(target)
            return "copied" if clip.is_copied else "encoded"
        if target.is_file() and filecmp.cmp(written, target, shallow=False):
            return "present"
    raise AssertionError("free_names is infinite")
