"""Progress, notices and the log on stderr: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from clipsearch.text import display_text, format_count, format_seconds, shorten_paths

if TYPE_CHECKING:
    from clipsearch.catalog.reports import IndexProgress

_LOGGERS = ("clipsearch", "indexer")

_LINE_INTERVAL_S = 10.0
"""Seconds between two plain lines."""


class ProgressReporter(Protocol):
    """A context manager that shows progress and notices."""

    def __enter__(self) -> Self:
        """Start showing."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the progress."""
        ...

    def update(self, progress: IndexProgress) -> None:
        """Show the progress."""
        ...

    def notify(self, message: str) -> None:
        """Show a notice, such as a skipped file, beside the progress."""
        ...


def progress_reporter(what: str = "Indexing") -> ProgressReporter:
    """A progress bar if stderr is a terminal, else plain lines; both begin with `what` is done."""
    return TerminalProgress(what) if sys.stderr.isatty() else PlainProgress(what)


def notify_on_stderr(message: str) -> None:
    """Write a notice as one line on stderr, escaped by `display_text`."""
    click.echo(display_text(shorten_paths(message)), err=True)


class PlainProgress:
    """One line on stderr every ten seconds; short runs show none."""

    def __init__(self, what: str = "Indexing", *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
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
        """Write a line if the interval has passed."""
        now = self._clock()
        if now - self._last >= _LINE_INTERVAL_S:
            self._last = now
            click.echo(describe_progress(progress, self._what), err=True)

    def notify(self, message: str) -> None:
        """Write the notice."""
        notify_on_stderr(message)


class TerminalProgress:
    """A progress bar on stderr, with notices above it."""

    def __init__(self, what: str = "Indexing") -> None:
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
        self._task = self._bar.add_task(what, total=None, detail="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, progress: IndexProgress) -> None:
        """Update the bar."""
        self._bar.update(self._task, completed=progress.done, total=progress.total, detail=_detail(progress))

    def notify(self, message: str) -> None:
        """Print the notice above the bar."""
        self._console.print(display_text(shorten_paths(message)), soft_wrap=True)


def describe_progress(progress: IndexProgress, what: str = "Indexing") -> str:
    """One line: pictures done, speed, remaining time."""
    return f"{what.lower()}: {_detail(progress)}"


def _detail(progress: IndexProgress) -> str:
    if progress.total is None:
        parts = [f"{format_count(progress.done, 'picture')}, still scanning"]
    else:
        parts = [f"{progress.done:,} of {format_count(progress.total, progress.of)}"]
    if progress.images_per_second > 0:
        parts.append(f"{progress.images_per_second:.1f} images/s")
    if progress.remaining_s is not None and progress.total is not None:
        parts.append(f"{format_seconds(progress.remaining_s)} left")
    return ", ".join(parts)


class _StderrHandler(logging.Handler):
    """Writes each record as one line, escaped by `display_text`, on the current stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"clipsearch: {display_text(record.getMessage())}", err=True)


def show_log(*, debug: bool) -> None:
    """Show warnings and errors of the log on stderr; with `debug`, all records."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG if debug else logging.WARNING)
        if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
            logger.addHandler(_StderrHandler())
