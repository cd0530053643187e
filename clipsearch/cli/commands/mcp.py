"""``clipsearch mcp``: the library for an assistant."""

from __future__ import annotations

import click

from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.startup import limit_blas_threads
from clipsearch.system.optional_packages import require_extra

"""What it needs besides what is installed in any case."""


@click.command()
@encoder_options
@common_options
def mcp(*, runtime: str, device: str) -> None:
    """Offer the library to an assistant, over the Model Context Protocol.

    The assistant's program starts this command, and talks with it over stdin and stdout. It can search, look at
    previews, and ask what is known of a picture; it can change nothing, and have no other file read. docs/serve.md
    shows how assistants are told of it.

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
