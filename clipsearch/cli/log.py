"""What the library logs, on stderr."""

from __future__ import annotations

import logging

import click

from clipsearch.text import display_text

_LOGGERS = ("clipsearch", "indexer")


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
