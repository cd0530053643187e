"""``clipsearch concept``: what the library is taught by a few pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import suggest_concepts
from clipsearch.cli.concept_text import (
    concept_line,
    concept_to_json,
    details_lines,
    details_to_json,
    suggestion_to_json,
)
from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.output import NOTHING_FOUND, write_json, write_paths
from clipsearch.text import display_path, display_text

if TYPE_CHECKING:
    from clipsearch.labeling.concepts.values import ConceptDetails

_MANY = ("--positive", "--negative")


class PicturesCommand(click.Command):
    """A command whose ``--positive`` and ``--negative`` take as many pictures as follow them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further picture, as click has it."""
        written: list[str] = []
        many: str | None = None
        for place, arg in enumerate(args):
            if arg == "--":
                return super().parse_args(ctx, written + args[place:])
            follows_option = bool(written) and written[-1] in _MANY
            if arg.startswith("-") and not follows_option:
                many = arg if arg in _MANY else None
            elif many is not None and not follows_option:
                written.append(many)
            written.append(arg)
        return super().parse_args(ctx, written)


@click.group()
@common_options
def concept() -> None:
    """Teach the library a person, a pet or a thing by a few pictures, and search for it as @NAME.

    A concept is fitted to pictures that show it, to others that do not (drawn from the library unless they are
    named), and to its --text while there are few pictures. PICTURE is a file, in the library or not, or ~# and the
    first digits (at least 6) of a content hash.

    \b
    Examples:
      clipsearch concept add rex --positive rex1.jpg rex2.jpg --text "a brown dog"
      clipsearch search @rex beach
      clipsearch concept suggest rex
      clipsearch concept confirm rex ~/Pictures/2021/park.jpg
    """


@concept.command(cls=PicturesCommand)
@click.argument("name")
@click.option("--positive", "positives", metavar="PICTURE...", multiple=True, help="Pictures that show it.")
@click.option("--negative", "negatives", metavar="PICTURE...", multiple=True, help="Pictures that do not.")
@click.option("--query", metavar="QUERY", help="Take what this query finds for pictures that show it, too.")
@click.option(
    "-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many of what the query finds."
)
@click.option("--text", metavar="TEXT", help="What it is in words, such as 'a brown dog'.")
@encoder_options
@common_options
def add(
    *,
    name: str,
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    query: str | None,
    k: int,
    text: str | None,
    runtime: str,
    device: str,
) -> None:
    """Teach the library the concept NAME.

    --positive and --negative take all pictures that follow them. Pictures that do not show it are drawn from the
    library besides, but none that is near to one that does. With --text a single picture is enough; without, name
    four or more.

    \b
    Examples:
      clipsearch concept add rex --positive rex1.jpg rex2.jpg --text "a brown dog"
      clipsearch concept add rex --positive rex*.jpg --negative neighbours-dog.jpg
      clipsearch concept add garden --query "folder:Garden date:2021" -k 30
    """
    with open_library(runtime=runtime, device=device) as library:
        references = [f"~#{result.content_hash}" for result in library.search(query, k=k)] if query is not None else []
        if query is not None and not references:
            click.echo(f"nothing found for {display_text(query)}", err=True)
        _say(library.concepts.add(name, [*positives, *references], negatives=negatives, text=text))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list: path, probability, content_hash, thumbnail.")
@click.option("-0", "--null", is_flag=True, help="End each path with a NUL byte, for xargs -0.")
@encoder_options
@common_options
@click.pass_context
def suggest(context: click.Context, *, name: str, k: int, as_json: bool, null: bool, runtime: str, device: str) -> None:
    """Show the pictures that are most worth confirming or rejecting next.

    Those are in doubt, and unlike each other. Their paths are printed, one per line. The exit status is 3 when there
    is none.

    \b
    Examples:
      clipsearch concept suggest rex
      clipsearch concept suggest rex -k 5 --json
    """
    if as_json and null:
        raise click.UsageError("--json does not go with -0", context)
    with open_library(runtime=runtime, device=device) as library:
        suggestions = library.concepts.suggest(name, k=k)
    if as_json:
        write_json([suggestion_to_json(item) for item in suggestions])
    else:
        write_paths([item.path for item in suggestions], end=b"\0" if null else b"\n")
    if not suggestions:
        click.echo("nothing to suggest: the library has no other picture", err=True)
        context.exit(NOTHING_FOUND)


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path())
@encoder_options
@common_options
def confirm(*, name: str, pictures: tuple[str, ...], runtime: str, device: str) -> None:
    """Say that pictures show the concept NAME; it is fitted again.

    A picture that was rejected before is confirmed from now on.

    \b
    Examples:
      clipsearch concept confirm rex park.jpg '~#a1b2c3d4'
    """
    with open_library(runtime=runtime, device=device) as library:
        _say(library.concepts.confirm(name, *pictures))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path())
@encoder_options
@common_options
def reject(*, name: str, pictures: tuple[str, ...], runtime: str, device: str) -> None:
    """Say that pictures do not show the concept NAME; it is fitted again.

    \b
    Examples:
      clipsearch concept reject rex neighbours-dog.jpg
    """
    with open_library(runtime=runtime, device=device) as library:
        _say(library.concepts.reject(name, *pictures))


@concept.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list: name, text, positives, negatives, added_at.")
@common_options
def list_(*, as_json: bool) -> None:
    """List the concepts that the library knows.

    \b
    Examples:
      clipsearch concept list
    """
    with open_library() as library:
        known = library.concepts.all()
    if as_json:
        write_json([concept_to_json(item) for item in known])
    elif not known:
        click.echo("no concept is known yet; add one with: clipsearch concept add NAME --positive PICTURE...")
    else:
        for item in known:
            click.echo(concept_line(item))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, with the examples and what was fitted.")
@common_options
def show(*, name: str, as_json: bool) -> None:
    """Show the examples of the concept NAME, and what was fitted to them.

    \b
    Examples:
      clipsearch concept show rex
      clipsearch concept show rex --json
    """
    with open_library() as library:
        shown = library.concepts.get(name)
    if as_json:
        write_json(details_to_json(shown))
        return
    for line in details_lines(shown):
        click.echo(line)


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@common_options
def remove(*, name: str) -> None:
    """Forget the concept NAME; its pictures stay.

    \b
    Examples:
      clipsearch concept remove rex
    """
    with open_library() as library:
        removed = library.concepts.remove(name)
    click.echo(f"forgot @{display_text(removed.name)}")


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.argument("file", type=click.Path(path_type=Path))
@encoder_options
@common_options
def export(*, name: str, file: Path, runtime: str, device: str) -> None:
    """Write the concept NAME to a new JSON file.

    It has the content hashes of its examples and the direction that was fitted, and no picture.

    \b
    Examples:
      clipsearch concept export rex rex.json
    """
    with open_library(runtime=runtime, device=device) as library:
        library.concepts.export(name, file)
    click.echo(f"wrote {display_path(file)}")


def _say(shown: ConceptDetails) -> None:
    click.echo(concept_line(shown))
