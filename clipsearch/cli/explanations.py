"""``--explain``: a picture for each result that shows where in it the match is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.copy_results import free_names
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.errors import ClipSearchError, ConfigError, ImageReadError
from clipsearch.text import display_path, format_count

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.library import SearchResult
    from clipsearch.retrieval.saliency import Explanation

_QUALITY = 90


def write_explanations(
    results: Sequence[SearchResult], folder: Path, *, explain: Callable[[SearchResult], Explanation]
) -> None:
    """Write one JPEG for each result, named by its rank and its file, and say how many on stderr.

    Args:
        results: what is explained.
        folder: made if it does not exist; nothing in it is overwritten.
        explain: explains one.

    Raises:
        ConfigError: the folder cannot be made or written to.
        ClipSearchError: a picture could not be read; after all others are done.
    """
    _make(folder)
    from_preview = failed = 0
    for result in results:
        try:
            explanation = explain(result)
        except ImageReadError as error:
            notify_on_stderr(str(error))
            failed += 1
            continue
        _write(explanation.overlay(), folder, f"{result.rank:03}-{result.path.stem}.jpg")
        from_preview += explanation.from_preview
    summary = [f"explained {format_count(len(results) - failed, 'result')} in {display_path(folder)}"]
    summary += [f"{from_preview:,} from previews"] if from_preview else []
    click.echo(", ".join(summary), err=True)
    if failed:
        raise ClipSearchError(f"{format_count(failed, 'result')} could not be explained; see above")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _write(picture: Image.Image, folder: Path, name: str) -> None:
    """Write a picture under a name that is free."""
    for path in free_names(folder, name):
        try:
            written = path.open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            with written:
                picture.save(written, "JPEG", quality=_QUALITY)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return
