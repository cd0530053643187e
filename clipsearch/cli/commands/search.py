"""``clipsearch search``: find pictures by words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import QueryCommand, query_line
from clipsearch.cli.options import (
    common_options,
    encoder_options,
    explain_option,
    k_asked_for,
    open_library,
    results_options,
)
from clipsearch.cli.output import NOTHING_FOUND, write_results
from clipsearch.cli.result_format import ResultsFormat
from clipsearch.query import explainable_query

if TYPE_CHECKING:
    from clipsearch.retrieval.relevance.calibration import MinMatch
    from clipsearch.retrieval.results import SearchOptions


@click.command(cls=QueryCommand)
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@results_options
@click.option(
    "--min-match",
    type=click.Choice(["strong", "possible", "any"]),
    default="any",
    show_default=True,
    help="Leave out results that match less (docs/matching.md).",
)
@explain_option
@encoder_options
@common_options
@click.pass_context
def search(
    context: click.Context,
    *,
    words: tuple[str, ...],
    options: SearchOptions,
    min_match: MinMatch,
    explain_to: Path | None,
    results_format: ResultsFormat,
    runtime: str,
    device: str,
) -> None:
    """Find pictures by words, pictures and filters.

    Plain words are what to look for; -people keeps away from people, ~photo.jpg looks for what is like a picture,
    2:beach counts twice. Filters are field:value, for example date:2021, camera:fuji, folder:Crete, size:>2MP,
    rating:>=4 or near:35.3,25.1,20km, with not and or. docs/query.md has all of it. Quote what the shell
    would take for itself. The score is the cosine similarity between query and picture: compare scores within
    one model only. Whether a picture matches at all is estimated: strong, possible or neither. The exit status
    is 3 when nothing is found.

    \b
    Examples:
      clipsearch search two dogs playing in the snow
      clipsearch search beach -people date:2021 -k 30
      clipsearch search '"red bicycle" 0.5:~ref.jpg size:>2MP'
      clipsearch search folder:Crete camera:fuji --sort date
      clipsearch search whiteboard -k 50 --copy-to ~/whiteboards
      clipsearch search sunset -k 100 --html sunsets.html --open
      clipsearch search a dog -k 5 --explain ~/why-dogs
      clipsearch search sunset -0 | xargs -0 ls -l
    """
    line = query_line(words)
    if explain_to is not None:
        explainable_query(line)  # before any time is spent on searching
    with open_library(runtime=runtime, device=device) as library:
        results = library.search(line, options, min_match=min_match)
        if (
            not options.offset
            and results
            and results[0].match is not None
            and all(item.match != "strong" for item in results)
        ):
            click.echo("no strong match; the nearest are:", err=True)
        write_results(results, k=k_asked_for(options), results_format=results_format, title=line)
        if explain_to is not None:
            from clipsearch.cli.explanations import write_explanations

            write_explanations(results, explain_to, explain=lambda result: library.explain(result, line))
    if not results:
        context.exit(NOTHING_FOUND)
