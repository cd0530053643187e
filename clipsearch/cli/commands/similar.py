"""``clipsearch similar``: find pictures that look like given ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

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

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchOptions


@click.command()
@click.argument("photos", metavar="PHOTO...", type=click.Path(), nargs=-1, required=True)
@click.option(
    "--box",
    metavar="X,Y,W,H",
    help="Look for what is like this part of PHOTO only: pixels from its upper left corner, or all in percent.",
)
@click.option(
    "--where",
    metavar="FILTERS",
    default="",
    help="Only among files that pass these filters, as search has them: 'date:2021 folder:Crete'.",
)
@results_options
@explain_option
@encoder_options
@common_options
@click.pass_context
def similar(
    context: click.Context,
    *,
    photos: tuple[str, ...],
    box: str | None,
    where: str,
    options: SearchOptions,
    explain_to: Path | None,
    results_format: ResultsFormat,
    runtime: str,
    device: str,
) -> None:
    """Find pictures that look like a given one.

    Or like a part of it, or like several together. PHOTO is any picture file, in the library or not, or ~# and the
    first digits (at least 6) of the content hash of an earlier result. It and its exact copies are left out of the
    results. The score is the cosine similarity of the two pictures; of several, to the mean of their embeddings.
    --box counts the pixels of the picture as it is looked at, upright.

    \b
    Examples:
      clipsearch similar holiday.jpg
      clipsearch similar ~/Downloads/sofa.webp -k 5
      clipsearch similar '~#a1b2c3d4' beach1.jpg beach2.jpg
      clipsearch similar kitchen.jpg --box 620,400,300,250
      clipsearch similar kitchen.jpg --box 50%,25%,50%,50% --explain ~/why
      clipsearch similar holiday.jpg --where 'date:2021.. camera:fuji'
      clipsearch similar holiday.jpg --link-to ~/like-holiday
    """
    from clipsearch.media.box import Box

    part = Box.parse(box) if box is not None else None
    with open_library(runtime=runtime, device=device) as library:
        results = library.similar(photos, options, box=part, where=where)
        title = " ".join(
            [f"like {', '.join(Path(photo).name for photo in photos)}", *([f"at {part}"] if part else []), where]
        ).strip()
        write_results(results, k=k_asked_for(options), results_format=results_format, title=title)
        if explain_to is not None:
            from clipsearch.cli.explanations import write_explanations

            write_explanations(
                results, explain_to, explain=lambda result: library.explain(result, like=photos, box=part)
            )
    if not results:
        context.exit(NOTHING_FOUND)
