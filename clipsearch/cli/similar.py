"""``clipsearch similar``: find pictures that look like a given one."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import Settings, common_options, encoder_options, k_asked_for, results_options
from clipsearch.cli.output import ResultsFormat, write_results
from clipsearch.cli.progress import notify_on_stderr


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@results_options
@encoder_options
@common_options
@click.pass_obj
def similar(
    settings: Settings,
    *,
    photo: Path,
    k: int,
    as_json: bool,
    as_paths: bool,
    null: bool,
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
    """
    from clipsearch.library import Library

    form = ResultsFormat(as_json, as_paths, null)
    with Library.open(settings.library, runtime=runtime, device=device, notify=notify_on_stderr) as library:
        results = library.similar(photo, k=k)
    write_results(results, wanted=k_asked_for(k), form=form)
