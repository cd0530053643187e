"""Targets of results besides stdout: a contact sheet, copies, links, and a viewer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.errors import ClipSearchError, ConfigError
from clipsearch.text import display_path, format_count

if TYPE_CHECKING:
    from clipsearch.cli.result_format import ResultsFormat
    from clipsearch.retrieval.results import SearchResult


def deliver(results: Sequence[SearchResult], results_format: ResultsFormat, *, title: str) -> None:
    """Write the contact sheet, copy, link, cut clips and open, as the options say, with a line each on stderr.

    Raises:
        ClipSearchError: one of them failed; raised after the others are done.
    """
    if results_format.html is not None:
        from clipsearch.cli.contact_sheet import write_contact_sheet

        write_contact_sheet(results_format.html, results, title=title)
        click.echo(f"wrote {display_path(results_format.html)}", err=True)
    targets = ((results_format.copy_to, False), (results_format.link_to, True))
    failed = sum(_collect(results, folder, link=link) for folder, link in targets if folder is not None)
    if results_format.clip_to is not None:
        failed += _cut(results, results_format.clip_to, results_format.margin_s)
    if results_format.open_best:
        _open(results, results_format.html)
    if failed:
        raise ClipSearchError(f"{format_count(failed, 'picture')} could not be copied or linked; see above")


def _collect(results: Sequence[SearchResult], folder: Path, *, link: bool) -> int:
    """Copy or link the results into a folder; returns the number of failures."""
    from clipsearch.cli.copy_results import collect
    from clipsearch.cli.progress import notify_on_stderr

    report = collect(results, folder, link=link, notify=notify_on_stderr)
    summary = [f"{'linked' if link else 'copied'} {format_count(report.done, 'picture')} to {display_path(folder)}"]
    summary += [f"{report.present:,} already present"] if report.present else []
    summary += [f"{report.offline:,} offline"] if report.offline else []
    summary += [f"{report.failed:,} failed"] if report.failed else []
    click.echo(", ".join(summary), err=True)
    return report.failed


def _cut(results: Sequence[SearchResult], folder: Path, margin_s: float) -> int:
    """Write clips of the videos among the results into a folder; returns the number of failures."""
    from clipsearch.cli.clip_results import cut_clips
    from clipsearch.cli.progress import notify_on_stderr

    report = cut_clips(results, folder, margin_s=margin_s, notify=notify_on_stderr)
    summary = [f"wrote {format_count(report.copied + report.encoded, 'clip')} to {display_path(folder)}"]
    summary += [f"{report.encoded:,} encoded again"] if report.encoded else []
    summary += [f"{report.present:,} already present"] if report.present else []
    summary += [f"{format_count(report.photos, 'photo')} passed over"] if report.photos else []
    summary += [f"{report.failed:,} failed"] if report.failed else []
    click.echo(", ".join(summary), err=True)
    return report.failed


def _open(results: Sequence[SearchResult], sheet: Path | None) -> None:
    """Open the contact sheet or the best result with the default program."""
    if sheet is not None:
        path = sheet.absolute()
    elif not results:
        return
    else:
        best = min(results, key=lambda result: result.rank)  # the list may be sorted otherwise
        if not best.online:
            raise ConfigError(f"cannot open {best.path}: it is offline")
        path = best.path
    if click.launch(str(path)) != 0:
        raise ConfigError(f"no program can open {path}")
