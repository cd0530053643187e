"""``clipsearch similar``: find pictures that look like a given one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.options import Settings, common_options, encoder_options, k_asked_for, results_options
from clipsearch.cli.output import NOTHING_FOUND, ResultsFormat, write_results
from clipsearch.cli.progress import notify_on_stderr

if TYPE_CHECKING:
    from clipsearch.results import Sort


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@results_options
@encoder_options
@common_options
@click.pass_context
def similar(
    context: click.Context,
    *,
    photo: Path,
    k: int,
    offset: int,
    sort: Sort,
    group_copies: bool,
    form: ResultsFormat,
    runtime: str,
    device: str,
) -> None:
    """Find pictures that look like a given one.

    PHOTO is any picture file, in the library or not; it and its exact copies are left out of the results. The
    score is the cosine similarity of the two pictures.

    \b
    Examples:
      clipsearch similar holiday.jpg
      clipsearch similar ~/Downloads/sofa.webp -k 5
      clipsearch similar holiday.jpg --paths
      clipsearch similar holiday.jpg --link-to ~/like-holiday
    """
    from clipsearch.library import Library

    with Library.open(
        context.ensure_object(Settings).library, runtime=runtime, device=device, notify=notify_on_stderr
    ) as library:
        results = library.similar(photo, k=k, offset=offset, sort=sort, group_copies=group_copies)
    write_results(results, wanted=k_asked_for(k), form=form, title=f"like {photo.name}")
    if not results:
        context.exit(NOTHING_FOUND)
