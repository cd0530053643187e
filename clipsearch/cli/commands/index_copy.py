"""``clipsearch index-copy``: move the vectors to another engine."""

from __future__ import annotations

from dataclasses import asdict

import click

from clipsearch.cli.options import Settings, common_options, open_library
from clipsearch.cli.output import write_json
from clipsearch.config import DatabaseUrl
from clipsearch.text import display_text, format_count


@click.command("index-copy")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="ENGINE",
    help="faiss (files in the library), milvus (a local file in it) or milvus:URI (a server, or another local file).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
@common_options
@click.pass_obj
def index_copy(settings: Settings, *, target: str, as_json: bool) -> None:
    """Move the vectors to another engine: FAISS, or Milvus.

    Every library begins with FAISS, which needs no server. Milvus is for libraries that one machine cannot search,
    and needs: pip install 'clipsearch[scale]'. The vectors are taken from the catalog, and searches use the engine
    from then on; what the one before held is deleted. Programs that have the library open follow.
    A server's USER:PASSWORD or API key is taken from CLIPSEARCH_MILVUS_TOKEN.

    \b
    Examples:
      clipsearch index-copy --to milvus:http://milvus.example.org:19530
      clipsearch index-copy --to milvus
      clipsearch index-copy --to faiss
    """
    is_database = isinstance(settings.library, DatabaseUrl)  # which may be told where its vectors go before it has any
    with open_library(create=is_database) as library:
        report = library.maintenance.copy_index(target)
    if as_json:
        write_json(asdict(report))
        return
    click.echo(f"copied     {format_count(report.vectors, 'vector')} in {report.seconds:.1f} s")
    click.echo(f"engine     {display_text(report.engine)}")
