"""``clipsearch watch``: index changes as they happen."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.text import format_count

if TYPE_CHECKING:
    from clipsearch.catalog.reports import IndexReport


@click.command()
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--quiet",
    "quiet_s",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Index changes after this long without another change.",
)
@click.option("--polling", is_flag=True, help="Poll for changes, for network drives, which send no events.")
@encoder_options
@common_options
def watch(*, folders: tuple[Path, ...], quiet_s: float, polling: bool, runtime: str, device: str) -> None:
    """Index changes in the library's roots as they happen.

    A new FOLDER is indexed first. Runs in the foreground until Ctrl-C or a termination signal; docs/watching.md shows
    how to run it with systemd or launchd. Prints one line per run that changed the library.

    \b
    Examples:
      clipsearch watch
      clipsearch watch ~/Pictures --quiet 5
    """
    from clipsearch.errors import ConfigError
    from indexer.watch import WatchOptions, watch_roots

    # systemd and launchd send SIGTERM: stop as with Ctrl-C, keeping all committed batches
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    notices = _NewNotices()
    with (
        contextlib.suppress(KeyboardInterrupt),
        open_library(runtime=runtime, device=device, create=bool(folders), notify=notices) as library,
    ):
        if folders:
            _report(library.index(*folders))
        if not library.roots.all():
            raise ConfigError("no roots yet; add one, for example: clipsearch watch ~/Pictures")
        click.echo(f"watching {format_count(len(library.roots.all()), 'root')}; stop with Ctrl-C", err=True)

        def index(changed: Collection[Path], wait_s: float) -> IndexReport:
            notices.start_run()
            return library.index(*changed, wait_s=wait_s)

        watch_roots(
            library.roots.all,
            index,
            options=WatchOptions(quiet_s=quiet_s, polling=polling),
            stop=threading.Event(),
            notify=notify_on_stderr,
            indexed=_report,
        )
    click.echo("stopped", err=True)


class _NewNotices:
    """Prints the notices of a run that the run before did not print: each run names unreadable files again."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._now: set[str] = set()

    def start_run(self) -> None:
        """Begin another run."""
        self._before, self._now = self._now, set()

    def __call__(self, line: str) -> None:
        self._now.add(line)
        if line not in self._before:
            notify_on_stderr(line)


def _report(report: IndexReport) -> None:
    """Print one line per run that changed the library."""
    counts = [
        (report.indexed, "indexed"),
        (report.moved, "moved"),
        (report.removed, "removed"),
        (report.missing, "missing"),
    ]
    summary = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    if summary:
        click.echo(f"{datetime.now().strftime('%H:%M:%S')} {summary}")
        sys.stdout.flush()
