"""What goes to stderr while a command runs: progress (a bar on a terminal, plain lines otherwise), notices, the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from clipsearch.text import display_text, format_count, format_seconds

if TYPE_CHECKING:
    from clipsearch.library import IndexProgress

_LOGGERS = ("clipsearch", "indexer")

_LINE_INTERVAL_S = 10.0
"""Seconds between two plain lines: a log of an hour stays readable."""


class ProgressReporter(Protocol):
    """A context in which progress and notices are shown."""

    def __enter__(self) -> Self:
        """Start showing."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal clean."""
        ...

    def update(self, progress: IndexProgress) -> None:
        """Show how far the run is."""
        ...

    def notify(self, message: str) -> None:
        """Show a notice (a skipped file, a warning) without disturbing the progress."""
        ...


def progress_reporter() -> ProgressReporter:
    """The reporter that suits stderr."""
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()


def notify_on_stderr(message: str) -> None:
    """Show a notice from the library as one safe line on stderr."""
    click.echo(display_text(message), err=True)


class PlainProgress:
    """A line on stderr every ten seconds, so that short runs show none."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def __enter__(self) -> Self:
        self._last = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, progress: IndexProgress) -> None:
        """Write a line if the last one is long enough ago."""
        now = self._clock()
        if now - self._last >= _LINE_INTERVAL_S:
            self._last = now
            click.echo(describe_progress(progress), err=True)

    def notify(self, message: str) -> None:
        """Write the notice."""
        notify_on_stderr(message)


class TerminalProgress:
    """A rich progress bar on stderr, with notices scrolling above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("Indexing", total=None, detail="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, progress: IndexProgress) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=progress.done, total=progress.total, detail=_detail(progress))

    def notify(self, message: str) -> None:
        """Print the notice above the bar."""
        self._console.print(display_text(message), soft_wrap=True)


def describe_progress(progress: IndexProgress) -> str:
    """One line for people: how far, how fast, how much longer."""
    return f"indexing: {_detail(progress)}"


def _detail(progress: IndexProgress) -> str:
    if progress.total is None:
        parts = [f"{format_count(progress.done, 'picture')} so far, still looking for more"]
    else:
        parts = [f"{progress.done:,} of {format_count(progress.total, progress.of)}"]
    if progress.images_per_second > 0:
        parts.append(f"{progress.images_per_second:.1f} images/s")
    if progress.remaining_s is not None and progress.total is not None:
        parts.append(f"{format_seconds(progress.remaining_s)} left")
    return ", ".join(parts)


class _StderrHandler(logging.Handler):
    """Writes each record as one safe line on whatever stderr is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"clipsearch: {display_text(record.getMessage())}", err=True)


def show_log(*, debug: bool) -> None:
    """Show warnings and errors that the library logs; with `debug`, everything."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG if debug else logging.WARNING)
        if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
            logger.addHandler(_StderrHandler())
