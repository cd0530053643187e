"""``clipsearch demo``: indexing and searching bundled photographs, without a network."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import debug_option
from clipsearch.cli.output import write_results
from clipsearch.cli.progress import progress_reporter
from clipsearch.cli.report import format_report
from clipsearch.cli.result_format import ResultsFormat
from clipsearch.config import typed_path
from clipsearch.demo import copy_photographs, find_photographs
from clipsearch.errors import ConfigError
from clipsearch.text import display_path, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.library import Library

QUERIES = (
    "a cat",
    "a cup of coffee",
    "a rocket launch",
    "a motorcycle",
    "a flower",
    "a temple",
    "an astronaut",
    "the moon",
)
"""The searches of the demo."""

SIMILAR_TO = "motorcycle_left.png"
"""The example picture of the demo: one of a stereo pair."""

_K = 3


@click.command()
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep the photographs and their library in this new or empty folder.",
)
@debug_option
def demo(keep: Path | None) -> None:
    """Index bundled photographs and search them.

    The photographs come with scikit-image and scikit-learn, and the model is the bundled mini. Nothing is downloaded,
    and your own library is not changed.

    \b
    Examples:
      clipsearch demo
      clipsearch demo --keep ~/clipsearch-demo
    """
    from clipsearch.library import Library

    find_photographs()  # fails before a folder is made
    started = time.perf_counter()
    with _workplace(keep) as folder:
        photos, library_dir = folder / "photos", folder / "library"
        copied = copy_photographs(photos)
        with (
            progress_reporter() as reporter,
            Library.open(library_dir, model="mini", create=True, notify=reporter.notify) as library,
        ):
            _say_command("clipsearch index photos")
            report = library.index(photos, progress=reporter.update)
            click.echo(format_report(report) + "\n")
        with Library.open(library_dir) as library:
            _run_searches(library, folder)
    seconds = time.perf_counter() - started
    click.echo(
        f"{format_count(copied, 'photograph')} indexed and {len(QUERIES) + 1} searches done in "
        f"{format_seconds(seconds)}, with the bundled model and no network."
    )
    click.echo("Next, search them yourself:" if keep else "Next, index your own pictures:")
    click.echo(f"  {_next_command(keep)}")


@contextlib.contextmanager
def _workplace(keep: Path | None) -> Iterator[Path]:
    """The folder of ``--keep``, or a temporary one."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="clipsearch-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    folder = typed_path(keep).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"cannot use {folder}: {error.strerror}; choose a new or empty folder") from error
    if occupied:
        raise ConfigError(f"{folder} is not empty; choose a new or empty folder")
    yield folder


def _run_searches(library: Library, folder: Path) -> None:
    for query in QUERIES:
        _say_command(f'clipsearch search "{query}" -k {_K}')
        write_results(library.search(query, k=_K), k=_K, results_format=ResultsFormat(), base=folder)
        click.echo()
    photo = folder / "photos" / SIMILAR_TO
    if photo.exists():
        _say_command(f"clipsearch similar photos/{SIMILAR_TO} -k {_K}")
        write_results(library.similar(photo, k=_K), k=_K, results_format=ResultsFormat(), base=folder)
        click.echo()


def _say_command(command: str) -> None:
    click.secho(f"$ {command}", bold=sys.stdout.isatty())


def _next_command(keep: Path | None) -> str:
    if keep is None:
        return "clipsearch index ~/Pictures"
    library = display_path(typed_path(keep) / "library")
    quoted = shlex.quote(library) if os.name == "posix" else f'"{library}"'
    return f'clipsearch --library {quoted} search "a temple by a lake"'
