"""``clipsearch mcp``: the library for AI assistants."""

from __future__ import annotations

import click

from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.startup import limit_blas_threads
from clipsearch.system.optional_packages import require_extra


@click.command()
@encoder_options
@common_options
def mcp(*, runtime: str, device: str) -> None:
    """Serve the library to AI assistants (Model Context Protocol).

    The assistant's program starts this command and communicates over stdin and stdout. An assistant can search, view
    previews and read the metadata of pictures. It cannot change anything or read other files. docs/serve.md shows how
    to configure assistants.

    \b
    Examples:
      clipsearch mcp
      clipsearch --library /media/photos/.clipsearch mcp
    """
    require_extra("server", what="clipsearch mcp")
    limit_blas_threads()
    from clipsearch.server.mcp import build_server

    with open_library(runtime=runtime, device=device) as library:
        build_server(library).run("stdio")
