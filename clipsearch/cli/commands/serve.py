"""``clipsearch serve``: the library for many, over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import Settings, common_options, encoder_options
from clipsearch.cli.output import write_json
from clipsearch.cli.startup import limit_blas_threads
from clipsearch.config import library_place
from clipsearch.errors import ConfigError
from clipsearch.server.settings import DEFAULT_ADDRESS, DEFAULT_PORT, Limits, ServeSettings
from clipsearch.server.tokens import TOKENS_NAME, Scope, Token, add_token, read_tokens, remove_token
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import display_path, display_text

_tokens_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The file with the tokens; by default {TOKENS_NAME} in the library.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--address",
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="A",
    help="The address to bind to. Any but this machine's own needs tokens.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="N",
    help="The port to serve on; 0 for any that is free.",
)
@_tokens_option
@click.option(
    "--max-upload",
    "upload_mib",
    type=click.IntRange(1, 1024),
    default=Limits.upload_mib,
    show_default=True,
    metavar="MIB",
    help="The largest picture that is taken, in MiB.",
)
@click.option(
    "--rate-limit",
    "requests_per_s",
    type=click.FloatRange(min=0),
    default=Limits.requests_per_s,
    show_default=True,
    metavar="N",
    help="Requests a second of one token in the long run; 0 for no limit.",
)
@click.option(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(min=0.1),
    default=Limits.time_limit_s,
    show_default=True,
    metavar="SECONDS",
    help="How long a request may take.",
)
@encoder_options
@common_options
@click.pass_context
def serve(
    context: click.Context,
    *,
    address: str,
    port: int,
    token_file: Path | None,
    upload_mib: int,
    requests_per_s: float,
    time_limit_s: float,
    runtime: str,
    device: str,
) -> None:
    """Serve the library to other programs over HTTP, to many at once.

    Searches, pictures and status as JSON under /v1, described in /openapi.json; /healthz, /readyz and /metrics for
    those who run it. Runs until it is stopped (Ctrl-C or a termination signal), and finishes what it is at. Without
    tokens only this machine is served; see docs/serve.md. Logs are lines of JSON on stderr.

    \b
    Examples:
      clipsearch serve
      clipsearch serve token add website --scope read --scope images
      clipsearch serve --address 0.0.0.0 --port 8600
      clipsearch --library /srv/photos serve --rate-limit 200 --time-limit 10
    """
    if context.invoked_subcommand is not None:
        return
    require_extra("server", what="clipsearch serve")
    limit_blas_threads()  # searches are the parallelism: threads of NumPy's own would take two thirds of the processors
    from clipsearch.server.run import serve as run
    from indexer.uploads import GuardedReader

    limits = Limits(upload_mib=upload_mib, requests_per_s=requests_per_s, time_limit_s=time_limit_s)
    run(
        context.ensure_object(Settings).library,
        ServeSettings(address=address, port=port, limits=limits),
        token_file=token_file.expanduser() if token_file is not None else None,
        runtime=runtime,
        device=device,
        make_reader=lambda encoder: GuardedReader(encoder.transform, time_limit_s=time_limit_s),
        announce=click.echo,
    )


@serve.group()
def token() -> None:
    """Make, list and take away the tokens that clients of the server need.

    Once there is one, nobody is served without. What is changed holds within a second, also for servers that run.

    \b
    Examples:
      clipsearch serve token add website --scope read --scope images
      clipsearch serve token list
      clipsearch serve token remove website
    """


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=[Scope.READ.value],
    show_default=True,
    help="What it opens; may be given several times.",
)
@_tokens_option
@common_options
@click.pass_obj
def add(settings: Settings, *, name: str, scopes: tuple[str, ...], token_file: Path | None) -> None:
    """Make a token for NAME, and print it, this once: only its hash is kept.

    read opens searches, details, previews and the status; images opens pictures at the size of a screen; originals
    opens files as they are, with their metadata; metrics is what Prometheus asks for.

    \b
    Examples:
      clipsearch serve token add website --scope read --scope images
      clipsearch serve token add prometheus --scope metrics
    """
    file = _tokens_in(settings, token_file)
    secret = add_token(file, name, [Scope(scope) for scope in scopes])
    click.echo(secret)
    click.echo(f"its hash is in {display_path(file)}; the token itself is not shown again", err=True)


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
@_tokens_option
@common_options
@click.pass_obj
def list_(settings: Settings, *, as_json: bool, token_file: Path | None) -> None:
    """List the tokens: whose they are, what they open, since when.

    \b
    Examples:
      clipsearch serve token list
    """
    tokens = read_tokens(_tokens_in(settings, token_file))
    if as_json:
        write_json([_to_json(item) for item in tokens])
    elif not tokens:
        click.echo("there are no tokens yet; make one with: clipsearch serve token add NAME")
    else:
        width = max(len(display_text(item.name)) for item in tokens)
        for item in tokens:
            click.echo(f"{display_text(item.name):<{width}}  {', '.join(sorted(item.scopes))}  ({item.added_at})")


@token.command()
@click.argument("name")
@_tokens_option
@common_options
@click.pass_obj
def remove(settings: Settings, *, name: str, token_file: Path | None) -> None:
    """Take the token of NAME away: it opens nothing any more.

    \b
    Examples:
      clipsearch serve token remove website
    """
    remove_token(_tokens_in(settings, token_file), name)
    click.echo(f"the token of {display_text(name)} opens nothing any more")


def _tokens_in(settings: Settings, token_file: Path | None) -> Path:
    if token_file is not None:
        return token_file.expanduser()
    place = library_place(settings.library)
    if not isinstance(place, Path):
        raise ConfigError("name the file with the tokens of a library in a database: --token-file FILE")
    return place / TOKENS_NAME


def _to_json(item: Token) -> dict[str, object]:
    return {"name": item.name, "scopes": sorted(item.scopes), "added_at": item.added_at}
