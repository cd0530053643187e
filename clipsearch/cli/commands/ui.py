"""``clipsearch ui``: the library in a web browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clipsearch.cli.options import Settings, common_options
from clipsearch.config import typed_path
from clipsearch.errors import ConfigError

TOKEN_VARIABLE = "CLIPSEARCH_UI_TOKEN"
SERVER_TOKEN_VARIABLE = "CLIPSEARCH_SERVER_TOKEN"

_DEFAULT_ADDRESS = "127.0.0.1"


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="The port to listen on; by default the first free one from 8501.",
)
@click.option(
    "--address",
    default=_DEFAULT_ADDRESS,
    show_default=True,
    metavar="A",
    help="The address to listen on. Any but a loopback address requires an access token.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"A file with the access token in its first line; or set {TOKEN_VARIABLE}.",
)
@click.option(
    "--server",
    metavar="URL",
    help="Show the library of a running clipsearch serve instead of a local one.",
)
@click.option(
    "--server-token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"A file with the token of that server in its first line; or set {SERVER_TOKEN_VARIABLE}.",
)
@click.option("--no-browser", is_flag=True, help="Print the address without opening a browser.")
@common_options
@click.pass_obj
def ui(
    settings: Settings,
    *,
    port: int | None,
    address: str,
    token_file: Path | None,
    server: str | None,
    server_token_file: Path | None,
    no_browser: bool,
) -> None:
    """Open the library in a web browser.

    Search, view and organize pictures, and index folders. Only this machine can open the page, unless --address is set.
    Without a library, choose folders or try the demo. With an access token, open the page once with ?token=TOKEN; see
    docs/web.md. Runs until Ctrl-C or a termination signal.

    \b
    Examples:
      clipsearch ui
      clipsearch ui --port 9000 --no-browser
      clipsearch --library /media/photos/.clipsearch ui
      clipsearch ui --address 192.168.1.20 --token-file ~/clipsearch-token
      clipsearch ui --server http://photos.example:8600 --server-token-file ~/server-token
    """
    from ui.server import ServerSettings, serve

    if server is None and server_token_file is not None:
        raise click.UsageError("--server-token-file requires --server")
    token = _token(token_file, TOKEN_VARIABLE)
    server_settings = ServerSettings(
        settings.library,
        remote=server,
        remote_token=_token(server_token_file, SERVER_TOKEN_VARIABLE) if server is not None else None,
        address=address,
        port=port,
        token=token,
        open_browser=not no_browser,
    )
    serve(server_settings, announce=lambda url: _announce(url, asks_for_token=token is not None))
    click.echo("stopped", err=True)


def _token(file: Path | None, variable: str) -> str | None:
    """An access token from the file or the environment; other users could read it on the command line."""
    if file is None:
        return os.environ.get(variable) or None
    try:
        lines = typed_path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"cannot read the access token from {file}: {reason}") from error
    token = lines[0].strip() if lines else ""
    if not token:
        raise ConfigError(f"the first line of {file} is empty; it must contain the access token")
    return token


def _announce(url: str, *, asks_for_token: bool) -> None:
    click.echo(f"{url}?token=… (insert your access token)" if asks_for_token else url)
    click.echo("stop with Ctrl-C", err=True)
