"""``clipsearch search``: find pictures by words."""

from __future__ import annotations

import click

from clipsearch.cli.options import Settings, common_options, encoder_options, k_asked_for, results_options
from clipsearch.cli.output import ResultsFormat, write_results
from clipsearch.cli.progress import notify_on_stderr


@click.command()
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@results_options
@encoder_options
@common_options
@click.pass_obj
def search(
    settings: Settings,
    *,
    words: tuple[str, ...],
    k: int,
    as_json: bool,
    as_paths: bool,
    null: bool,
    runtime: str,
    device: str,
) -> None:
    """Find pictures by words.

    Several words are one query; quotes are only needed for characters that the shell would take. The score is
    the cosine similarity between the words and the picture: compare scores within one model only.

    \b
    Examples:
      clipsearch search two dogs playing in the snow
      clipsearch search "a red bicycle" -k 3
      clipsearch search sunset --json
      clipsearch search whiteboard -k 50 -0 | xargs -0 cp -t ~/whiteboards
    """
    from clipsearch.library import Library

    form = ResultsFormat(as_json, as_paths, null)
    with Library.open(settings.library, runtime=runtime, device=device, notify=notify_on_stderr) as library:
        results = library.search(" ".join(words), k=k)
    write_results(results, wanted=k_asked_for(k), form=form)
