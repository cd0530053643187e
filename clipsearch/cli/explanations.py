"""``--explain``: an image per result that highlights the matching regions."""

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

    from clipsearch.retrieval.results import SearchResult
    from clipsearch.retrieval.saliency import Explanation

_QUALITY = 90


def write_explanations(
    results: Sequence[SearchResult], folder: Path, *, explain: Callable[[SearchResult], Explanation]
) -> None:
    """Write one JPEG per result, named by its rank and file name, and print the number on stderr.

    Args:
        results: the results to explain.
        folder: created if it does not exist; nothing in it is overwritten.
        explain: explains one result.

    Raises:
        ConfigError: the folder cannot be created or written to.
        ClipSearchError: a picture could not be read; raised after the others are done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create the folder {folder}: {error.strerror or error}") from error
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


def _write(picture: Image.Image, folder: Path, name: str) -> None:
    """Write an image under a free name."""
    for path in free_names(folder, name):
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            with file:
                picture.save(file, "JPEG", quality=_QUALITY)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return
