"""``clipsearch saved``: saved searches."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import suggest_saved
from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.output import NOTHING_FOUND, write_json, write_results
from clipsearch.cli.result_format import ResultsFormat, k_asked_for, results_options
from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.catalog.saved_searches import SavedSearchRecord
    from clipsearch.retrieval.results import SearchOptions, SearchResult
    from clipsearch.retrieval.saved_searches import NewMatches


@click.command()
@click.argument("name", required=False, shell_complete=suggest_saved)
@click.option("--new", "only_new", is_flag=True, help="Show only matches that are new since the last use of --new.")
@click.option("--remove", is_flag=True, help="Remove the saved search NAME.")
@results_options
@encoder_options
@common_options
@click.pass_context
def saved(
    context: click.Context,
    *,
    name: str | None,
    only_new: bool,
    remove: bool,
    options: SearchOptions,
    results_format: ResultsFormat,
    runtime: str,
    device: str,
) -> None:
    """List or run saved searches, or show their new matches.

    Without NAME, lists the saved searches; with --json as a list of objects: name, query, saved_at. With NAME, runs
    that search. With --new, shows each new match once: among the 20 best results, or as many as -k sets; with only
    filters, among all results. The exit status is 3 if there are no results.

    \b
    Examples:
      clipsearch saved
      clipsearch saved beach -k 30
      clipsearch saved beach --new --open
      clipsearch saved beach --remove
    """
    from clipsearch.retrieval.saved_searches import NEW_AMONG

    _check(context, name, only_new=only_new, remove=remove, results_format=results_format)
    with open_library(runtime=runtime, device=device) as library:
        if name is None:
            _write_list(library.saved.all(), as_json=results_format.as_json)
            return
        if remove:
            record = library.saved.remove(name)
            click.echo(f"removed {display_text(record.name)}: {display_text(record.line)}")
            return
        record = library.saved.get(name)
        if only_new:
            k = k_asked_for(options) or NEW_AMONG  # as many as the report after indexing counts
            results = library.saved.new_results(name, replace(options, k=k))
        else:
            results = library.search(record.line, options)
    _write(
        results, record, k=None if only_new else k_asked_for(options), results_format=results_format, only_new=only_new
    )
    if not results:
        context.exit(NOTHING_FOUND)


def format_new_match(match: NewMatches) -> str:
    """One line after indexing: the number of new matches of a saved search, and how to show them."""
    quoted = shlex.quote(match.name) if os.name == "posix" else f'"{match.name}"'
    matches = format_count(match.count, "new match")
    return f"new        {matches} of {display_text(match.name)} (see: clipsearch saved {display_text(quoted)} --new)"


def _check(
    context: click.Context, name: str | None, *, only_new: bool, remove: bool, results_format: ResultsFormat
) -> None:
    if name is None and (only_new or remove):
        raise click.UsageError(f"{'--new' if only_new else '--remove'} requires the NAME of a saved search", context)
    if name is None and results_format != ResultsFormat(as_json=results_format.as_json, preview=results_format.preview):
        raise click.UsageError("without NAME, only --json is available", context)
    if only_new and remove:
        raise click.UsageError("--new cannot be combined with --remove", context)


def _write(
    results: Sequence[SearchResult],
    record: SavedSearchRecord,
    *,
    k: int | None,
    results_format: ResultsFormat,
    only_new: bool,
) -> None:
    title = f"{record.name}: {record.line}"
    if only_new:
        notice = display_text(f"no new matches of {record.name}")
        write_results(results, k=k, results_format=results_format, title=title, no_results=notice)
    else:
        write_results(results, k=k, results_format=results_format, title=title)


def _write_list(records: Sequence[SavedSearchRecord], *, as_json: bool) -> None:
    if as_json:
        write_json(
            [
                {"name": record.name, "query": record.line, "saved_at": record.saved_at.isoformat(timespec="seconds")}
                for record in records
            ]
        )
    elif not records:
        click.echo("no saved searches yet; save one with: clipsearch save NAME QUERY")
    else:
        width = max(len(display_text(record.name)) for record in records)
        for record in records:
            click.echo(f"{display_text(record.name):<{width}}  {display_text(record.line)}")
