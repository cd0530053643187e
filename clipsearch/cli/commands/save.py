"""``clipsearch save``: save a search under a name."""

from __future__ import annotations

import click

from clipsearch.cli.arguments import QueryCommand, query_line, suggest_saved
from clipsearch.cli.options import common_options, open_library
from clipsearch.text import display_text


@click.command(cls=QueryCommand)
@click.argument("name", shell_complete=suggest_saved)
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@click.option("--replace", is_flag=True, help="Replace the saved search NAME.")
@common_options
def save(*, name: str, words: tuple[str, ...], replace: bool) -> None:
    """Save a search under a name.

    QUERY is a query as for clipsearch search. It is saved and printed in canonical form, with absolute paths of its
    pictures. clipsearch index reports new matches of saved searches.

    \b
    Examples:
      clipsearch save beach beach -people
      clipsearch save crete 'folder:Crete rating:>=4'
      clipsearch save beach --replace "a beach at night"
    """
    with open_library() as library:
        saved = library.saved.add(name, query_line(words), replace=replace)
    click.echo(f"saved {display_text(saved.name)}: {display_text(saved.line)}")
