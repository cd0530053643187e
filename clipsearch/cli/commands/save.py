"""``clipsearch save``: keep a search by name."""

from __future__ import annotations

import click

from clipsearch.cli.arguments import QueryCommand, query_line, suggest_saved
from clipsearch.cli.options import common_options, open_library
from clipsearch.text import display_text


@click.command(cls=QueryCommand)
@click.argument("name", shell_complete=suggest_saved)
@click.argument("words", metavar="QUERY...", nargs=-1, required=True)
@click.option("--replace", is_flag=True, help="Take the place of a search saved as NAME before.")
@common_options
def save(*, name: str, words: tuple[str, ...], replace: bool) -> None:
    """Save a search under a name, run it again and see what is new since.

    QUERY is as for ``clipsearch search``. It is checked and kept in its canonical form, which is printed; the paths
    of pictures in it are kept in full. ``clipsearch index`` tells when there are new matches.

    \b
    Examples:
      clipsearch save beach beach -people
      clipsearch save crete 'folder:Crete rating:>=4'
      clipsearch save beach --replace "a beach at night"
    """
    with open_library() as library:
        saved = library.saved.add(name, query_line(words), replace=replace)
    click.echo(f"saved {display_text(saved.name)}: {display_text(saved.line)}")
