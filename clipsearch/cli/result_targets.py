"""Where results go besides stdout: a contact sheet, copies, links, and the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.errors import ClipSearchError, ConfigError
from clipsearch.text import display_path, format_count

if TYPE_CHECKING:
    from clipsearch.cli.result_format import ResultsFormat
    from clipsearch.library import SearchResult


def deliver(results: Sequence[SearchResult], results_format: ResultsFormat, *, title: str) -> None:
    """Write the contact sheet, copy, link and open, as far as these are wanted; each is told on stderr.

    Raises:
        ClipSearchError: one of them failed, after the others were done.
    """
    if results_format.html is not None:
        from clipsearch.cli.contact_sheet import write_contact_sheet

        write_contact_sheet(results_format.html, results, title=title)
        click.echo(f"wrote {display_path(results_format.html)}", err=True)
    failed = sum(_collect(results, folder, link=link) for folder, link in _folders(results_format))
    if results_format.open_best:
        _open(results, results_format.html)
    if failed:
        raise ClipSearchError(f"{format_count(failed, 'picture')} could not be copied or linked; see above")


def _folders(results_format: ResultsFormat) -> list[tuple[Path, bool]]:
    folders = ((results_format.copy_to, False), (results_format.link_to, True))
    return [(folder, link) for folder, link in folders if folder is not None]


def _collect(results: Sequence[SearchResult], folder: Path, *, link: bool) -> int:
    """Copy or link the results into a folder; returns how many could not be."""
    from clipsearch.cli.copy_results import collect
    from clipsearch.cli.progress import notify_on_stderr

    report = collect(results, folder, link=link, notify=notify_on_stderr)
    summary = [f"{'linked' if link else 'copied'} {format_count(report.done, 'picture')} to {display_path(folder)}"]
    summary += [f"{report.there:,} already there"] if report.there else []
    summary += [f"{report.offline:,} offline"] if report.offline else []
    summary += [f"{report.failed:,} failed"] if report.failed else []
    click.echo(", ".join(summary), err=True)
    return report.failed


def _open(results: Sequence[SearchResult], sheet: Path | None) -> None:
    """Open the contact sheet or the best result with the system's program for it."""
    if sheet is not None:
        path = sheet.absolute()
    elif not results:
        return
    else:
        best = min(results, key=lambda result: result.rank)  # whatever the order they are shown in
        if not best.online:
            raise ConfigError(f"{best.path} cannot be opened: its drive is not there")
        path = best.path
    if click.launch(str(path)) != 0:
        raise ConfigError(f"there is no program to open {path} with")
