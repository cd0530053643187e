"""``clipsearch index-copy``: move the embeddings to another vector engine."""

from __future__ import annotations

from dataclasses import asdict

import click

from clipsearch.cli.options import Settings, common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.config import DatabaseUrl
from clipsearch.text import display_text, format_count


@click.command("index-copy")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="ENGINE",
    help="faiss (files in the library), milvus (a local file in the library) or milvus:URI (a server or another file).",
)
@json_option()
@common_options
@click.pass_obj
def index_copy(settings: Settings, *, target: str, as_json: bool) -> None:
    """Move the embeddings to another vector engine: FAISS or Milvus.

    A new library uses FAISS, which needs no server. Milvus is for libraries that one machine cannot search, and
    requires: pip install 'clipsearch[scale]'. The new index is built from the catalog, and the old one is deleted.
    Programs that have the library open switch as well. Set CLIPSEARCH_MILVUS_TOKEN to the USER:PASSWORD or API key of a
    server.

    \b
    Examples:
      clipsearch index-copy --to milvus:http://milvus.example.org:19530
      clipsearch index-copy --to milvus
      clipsearch index-copy --to faiss
    """
    is_database = isinstance(settings.library, DatabaseUrl)  # its engine can be chosen before it has embeddings
    with open_library(create=is_database) as library:
        report = library.maintenance.copy_index(target)
    if as_json:
        write_json(asdict(report))
        return
    click.echo(f"copied     {format_count(report.vectors, 'embedding')} in {report.seconds:.1f} s")
    click.echo(f"engine     {display_text(report.engine)}")
