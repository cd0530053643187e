"""``clipsearch watch``: keep the library current."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.text import format_count

if TYPE_CHECKING:
    from clipsearch.library import IndexReport


@click.command()
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--quiet",
    "quiet_s",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Index what has changed once nothing has for so long.",
)
@click.option("--polling", is_flag=True, help="Look for changes instead of being told of them, for network drives.")
@encoder_options
@common_options
def watch(*, folders: tuple[Path, ...], quiet_s: float, polling: bool, runtime: str, device: str) -> None:
    """Keep the library current: index what changes in its folders, as it changes.

    FOLDERs are indexed first where they are new. Runs in the foreground until it is stopped (Ctrl-C or a
    termination signal), so that systemd or launchd can own it: see docs/watching.md. A line is printed for each
    run that changed something.

    \b
    Examples:
      clipsearch watch
      clipsearch watch ~/Pictures --quiet 5
    """
    from clipsearch.errors import ConfigError
    from indexer.watch import WatchOptions, watch_roots

    # what systemd and launchd send is to end it as Ctrl-C does: at once, with all that was committed kept
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        contextlib.suppress(KeyboardInterrupt),
        open_library(runtime=runtime, device=device, create=bool(folders)) as library,
    ):
        if folders:
            _tell(library.index(*folders))
        if not library.roots.all():
            raise ConfigError("no folder is indexed yet; name one, for example: clipsearch watch ~/Pictures")
        click.echo(f"watching {format_count(len(library.roots.all()), 'folder')}; stop with Ctrl-C", err=True)
        watch_roots(
            library.roots.all,
            lambda folders, wait_s: library.index(*folders, wait_s=wait_s),
            options=WatchOptions(quiet_s=quiet_s, polling=polling),
            stop=threading.Event(),
            notify=notify_on_stderr,
            indexed=_tell,
        )
    click.echo("stopped", err=True)


def _tell(report: IndexReport) -> None:
    """One line for each run that changed something."""
    done = [
        (report.indexed, "indexed"),
        (report.moved, "moved"),
        (report.removed, "removed"),
        (report.missing, "missing"),
    ]
    summary = ", ".join(f"{count:,} {what}" for count, what in done if count)
    if summary:
        click.echo(f"{datetime.now().strftime('%H:%M:%S')} {summary}")
        sys.stdout.flush()
