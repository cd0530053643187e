"""``clipsearch similar``: find pictures similar to example pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.output import NOTHING_FOUND, write_results
from clipsearch.cli.result_format import ResultsFormat, explain_option, k_asked_for, results_options
from clipsearch.text import read_clock_time

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchOptions


@click.command()
@click.argument("pictures", metavar="PICTURE...", type=click.Path(), nargs=-1, required=True)
@click.option(
    "--box",
    metavar="X,Y,W,H",
    help="Use only this region of PICTURE: pixels from the top left corner after EXIF rotation, or percent.",
)
@click.option("--at", "at", metavar="TIME", help="Use only the frame of the video PICTURE at this time: 1:23 or 83.5.")
@click.option(
    "--where",
    metavar="FILTERS",
    default="",
    help="Search only pictures that pass these filters, such as 'date:2021 folder:Crete'.",
)
@results_options
@explain_option
@encoder_options
@common_options
@click.pass_context
def similar(
    context: click.Context,
    *,
    pictures: tuple[str, ...],
    box: str | None,
    at: str | None,
    where: str,
    options: SearchOptions,
    explain_to: Path | None,
    results_format: ResultsFormat,
    runtime: str,
    device: str,
) -> None:
    """Find pictures similar to one or more pictures.

    PICTURE is a picture or a video, in the library or not, or ~# and at least 6 digits of the content hash of a result.
    It and its exact copies are not among the results. The score is the cosine similarity to PICTURE, or to
    the mean of the embeddings of several pictures.

    \b
    Examples:
      clipsearch similar holiday.jpg
      clipsearch similar ~/Downloads/sofa.webp -k 5
      clipsearch similar '~#a1b2c3d4' beach1.jpg beach2.jpg
      clipsearch similar kitchen.jpg --box 620,400,300,250
      clipsearch similar kitchen.jpg --box 50%,25%,50%,50% --explain ~/why
      clipsearch similar clip.mp4 --at 1:23
      clipsearch similar holiday.jpg --where 'date:2021.. camera:fuji'
      clipsearch similar holiday.jpg --link-to ~/like-holiday
    """
    from clipsearch.media.box import Box

    at_s = read_clock_time(at) if at is not None else None
    if at is not None and at_s is None:
        raise click.UsageError(f"{at} is not a time; write it as 1:23 or 83.5")
    region = Box.parse(box) if box is not None else None
    with open_library(runtime=runtime, device=device) as library:
        results = library.similar(pictures, options, box=region, at_s=at_s, where=where)
        title = " ".join(
            [
                f"like {', '.join(Path(name).name for name in pictures)}",
                *(f"at {part}" for part in (region, at) if part is not None),
                where,
            ]
        ).strip()
        write_results(results, k=k_asked_for(options), results_format=results_format, title=title)
        if explain_to is not None:
            from clipsearch.cli.explanations import write_explanations

            write_explanations(
                results, explain_to, explain=lambda result: library.explain(result, like=pictures, box=region)
            )
    if not results:
        context.exit(NOTHING_FOUND)
