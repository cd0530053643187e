"""``clipsearch search``: find pictures by a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import QueryCommand, query_line
from clipsearch.cli.options import Choice, common_options, encoder_options, open_library
from clipsearch.cli.output import NOTHING_FOUND, suggest_tags, write_results
from clipsearch.cli.result_format import ResultsFormat, explain_option, k_asked_for, results_options
from clipsearch.query import explainable_query

if TYPE_CHECKING:
    from clipsearch.retrieval.relevance.calibration import MinMatch
    from clipsearch.retrieval.results import By, SearchOptions


@click.command(cls=QueryCommand)
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@results_options
@click.option(
    "--min-match",
    type=Choice(["strong", "possible", "any"]),
    default="any",
    show_default=True,
    help="Show only results that match at least this well (docs/matching.md).",
)
@click.option(
    "--by",
    type=Choice(["both", "meaning", "text"]),
    default="both",
    show_default=True,
    help="Search words by meaning, by text (in pictures, names, captions), or by both (docs/text.md).",
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
    by: By,
    explain_to: Path | None,
    results_format: ResultsFormat,
    runtime: str,
    device: str,
) -> None:
    """Find pictures by text, example pictures and filters.

    QUERY describes the pictures. -people avoids people, ~photo.jpg adds an example picture, @rex a concept, and
    2:beach doubles a weight. Filters are field:value, such as date:2021, camera:fuji, folder:Crete, size:>2MP,
    rating:>=4 or near:35.3,25.1,20km, combined with not and or. docs/query.md describes the query language. Quote
    characters that are special to the shell. The score is the cosine similarity between query and picture; compare
    scores of one model only. A result is marked as a strong or possible match, or as neither. The exit status is 3 if
    there are no results.

    \b
    Examples:
      clipsearch search two dogs playing in the snow
      clipsearch search beach -people date:2021 -k 30
      clipsearch search '"red bicycle" 0.5:~ref.jpg size:>2MP'
      clipsearch search folder:Crete camera:fuji --sort date
      clipsearch search whiteboard -k 50 --copy-to ~/whiteboards
      clipsearch search sunset -k 100 --html sunsets.html --open
      clipsearch search birthday cake kind:video --clip-to ~/cakes
      clipsearch search a dog -k 5 --explain ~/why-dogs
      clipsearch search sunset -0 | xargs -0 ls -l
    """
    line = query_line(words)
    if explain_to is not None:
        explainable_query(line)  # fails before the search
    with open_library(runtime=runtime, device=device) as library:
        results = library.search(line, options, min_match=min_match, by=by)
        if not options.offset and results and not any(result.is_match for result in results):
            click.echo("nothing in this library clearly shows that; the closest:", err=True)
        write_results(results, k=k_asked_for(options), results_format=results_format, title=line)
        if not results:
            suggest_tags(library, line)
        if explain_to is not None:
            from clipsearch.cli.explanations import write_explanations

            write_explanations(results, explain_to, explain=lambda result: library.explain(result, line))
    if not results:
        context.exit(NOTHING_FOUND)
