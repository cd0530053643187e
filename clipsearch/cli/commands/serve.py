"""``clipsearch serve``: the library over HTTP, and its access tokens."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.options import Choice, Settings, common_options, encoder_options, json_option
from clipsearch.cli.output import write_json
from clipsearch.cli.startup import limit_blas_threads
from clipsearch.config import library_place, typed_path
from clipsearch.errors import ConfigError
from clipsearch.server.settings import DEFAULT_ADDRESS, DEFAULT_PORT, Limits, ServeSettings
from clipsearch.server.tokens import TOKENS_NAME, Scope, Token, add_token, read_tokens, remove_token
from clipsearch.system.optional_packages import require_extra
from clipsearch.text import display_path, display_text

_tokens_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The file of access tokens; by default {TOKENS_NAME} in the library.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--address",
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="A",
    help="The address to listen on. Any but a loopback address requires tokens.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="N",
    help="The port to listen on; 0 for any free port.",
)
@_tokens_option
@click.option(
    "--max-upload",
    "upload_mib",
    type=click.IntRange(1, 1024),
    default=Limits.upload_mib,
    show_default=True,
    metavar="MIB",
    help="The maximum size of an uploaded picture, in MiB.",
)
@click.option(
    "--rate-limit",
    "requests_per_s",
    type=click.FloatRange(min=0),
    default=Limits.requests_per_s,
    show_default=True,
    metavar="N",
    help="The maximum rate of requests per second and token; 0 for no limit.",
)
@click.option(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(min=0.1),
    default=Limits.time_limit_s,
    show_default=True,
    metavar="SECONDS",
    help="The maximum duration of a request.",
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
    """Serve the library over HTTP.

    The JSON API under /v1 has searches, pictures and status, and is described in /openapi.json; /healthz, /readyz and
    /metrics are for operation. Runs until Ctrl-C or a termination signal, and completes the requests in progress.
    Without tokens, serves only this machine. Logs JSON lines to stderr. See docs/serve.md.

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
    limit_blas_threads()  # requests run in parallel already; NumPy's threads would compete with them
    from clipsearch.server.run import serve as run
    from indexer.uploads import GuardedReader

    limits = Limits(upload_mib=upload_mib, requests_per_s=requests_per_s, time_limit_s=time_limit_s)
    run(
        context.ensure_object(Settings).library,
        ServeSettings(address=address, port=port, limits=limits),
        token_file=typed_path(token_file) if token_file is not None else None,
        runtime=runtime,
        device=device,
        make_reader=lambda encoder: GuardedReader(encoder.transform, time_limit_s=time_limit_s),
        announce=click.echo,
    )


@serve.group()
def token() -> None:
    """Add, list and remove access tokens of the server.

    With at least one token, every request needs one. Changes take effect within a second, in running servers, too.

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
    type=Choice([scope.value for scope in Scope]),
    multiple=True,
    default=[Scope.READ.value],
    show_default=True,
    help="What the token allows; repeatable.",
)
@_tokens_option
@common_options
@click.pass_obj
def add(settings: Settings, *, name: str, scopes: tuple[str, ...], token_file: Path | None) -> None:
    """Add a token for NAME, and print it.

    Only its hash is stored, so it cannot be shown again. Scopes: read for searches, details, previews and status;
    images for screen-sized pictures; originals for the original files with their metadata; metrics for Prometheus.

    \b
    Examples:
      clipsearch serve token add website --scope read --scope images
      clipsearch serve token add prometheus --scope metrics
    """
    file = _tokens_in(settings, token_file)
    secret = add_token(file, name, [Scope(scope) for scope in scopes])
    click.echo(secret)
    click.echo(f"stored its hash in {display_path(file)}; the token cannot be shown again", err=True)


@token.command("list")
@json_option("Print a JSON list of objects: name, scopes, added_at.")
@_tokens_option
@common_options
@click.pass_obj
def list_(settings: Settings, *, as_json: bool, token_file: Path | None) -> None:
    """List the tokens with their scopes and dates.

    \b
    Examples:
      clipsearch serve token list
    """
    tokens = read_tokens(_tokens_in(settings, token_file))
    if as_json:
        write_json([_to_json(item) for item in tokens])
    elif not tokens:
        click.echo("no tokens yet; add one with: clipsearch serve token add NAME")
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
    """Remove the token of NAME, which revokes its access.

    \b
    Examples:
      clipsearch serve token remove website
    """
    remove_token(_tokens_in(settings, token_file), name)
    click.echo(f"removed the token of {display_text(name)}")


def _tokens_in(settings: Settings, token_file: Path | None) -> Path:
    if token_file is not None:
        return typed_path(token_file)
    place = library_place(settings.library)
    if not isinstance(place, Path):
        raise ConfigError("--token-file is required for a library in a database")
    return place / TOKENS_NAME


def _to_json(item: Token) -> dict[str, object]:
    return {"name": item.name, "scopes": sorted(item.scopes), "added_at": item.added_at}
