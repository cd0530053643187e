"""``clipsearch concept``: concepts that are defined by example pictures."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.arguments import suggest_concepts
from clipsearch.cli.concept_text import (
    concept_line,
    concept_to_json,
    details_lines,
    details_to_json,
    suggestion_to_json,
)
from clipsearch.cli.options import common_options, encoder_options, json_option, open_library
from clipsearch.cli.output import NOTHING_FOUND, write_json, write_paths
from clipsearch.text import display_path, display_text

_MULTIPLE = ("--positive", "--negative")


class PicturesCommand(click.Command):
    """A command whose ``--positive`` and ``--negative`` take several pictures each."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further picture, as click expects it."""
        expanded: list[str] = []
        multiple: str | None = None
        for index, arg in enumerate(args):
            if arg == "--":
                return super().parse_args(ctx, expanded + args[index:])
            follows_option = bool(expanded) and expanded[-1] in _MULTIPLE
            if arg.startswith("-") and not follows_option:
                multiple = arg if arg in _MULTIPLE else None
            elif multiple is not None and not follows_option:
                expanded.append(multiple)
            expanded.append(arg)
        return super().parse_args(ctx, expanded)


@click.group()
@common_options
def concept() -> None:
    """Define concepts (a person, a pet, a thing) by example pictures.

    Search for a concept as @NAME. It is fitted to positive examples, to negative examples (with none, to pictures
    drawn from the library) and, while there are few examples, to its --text. PICTURE is a file, in the library or not,
    or ~# and at least 6 digits of a content hash.

    \b
    Examples:
      clipsearch concept add rex --positive rex1.jpg rex2.jpg --text "a brown dog"
      clipsearch search @rex beach
      clipsearch concept suggest rex
      clipsearch concept confirm rex ~/Pictures/2021/park.jpg
    """


@concept.command(cls=PicturesCommand)
@click.argument("name")
@click.option(
    "--positive", "positives", metavar="PICTURE...", multiple=True, help="Positive examples: pictures that show it."
)
@click.option(
    "--negative",
    "negatives",
    metavar="PICTURE...",
    multiple=True,
    help="Negative examples: pictures that do not show it.",
)
@click.option("--query", metavar="QUERY", help="Also use the results of this query as positive examples.")
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="The number of results of --query to use.",
)
@click.option("--text", metavar="TEXT", help="A description, such as 'a brown dog'.")
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
    """Add the concept NAME, or more examples of it.

    --positive and --negative each take several pictures. Further negative examples are drawn from the library, none of
    them close to a positive one. With --text one positive example is enough; without it, use at least four.

    \b
    Examples:
      clipsearch concept add rex --positive rex1.jpg rex2.jpg --text "a brown dog"
      clipsearch concept add rex --positive rex*.jpg --negative neighbours-dog.jpg
      clipsearch concept add garden --query "folder:Garden date:2021" -k 30
    """
    with open_library(runtime=runtime, device=device) as library:
        references = [f"~#{result.content_hash}" for result in library.search(query, k=k)] if query is not None else []
        if query is not None and not references:
            click.echo(f"no results for {display_text(query)}", err=True)
        click.echo(concept_line(library.concepts.add(name, [*positives, *references], negatives=negatives, text=text)))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="The maximum number of pictures.",
)
@json_option("Print a JSON list of objects: path, probability, content_hash, thumbnail.")
@click.option("-0", "--null", is_flag=True, help="End each path with a NUL byte, for xargs -0.")
@encoder_options
@common_options
@click.pass_context
def suggest(context: click.Context, *, name: str, k: int, as_json: bool, null: bool, runtime: str, device: str) -> None:
    """Suggest pictures to confirm or reject next.

    These are pictures that the concept is least certain about and that differ from each other. Prints their paths, one
    per line. The exit status is 3 if there are none.

    \b
    Examples:
      clipsearch concept suggest rex
      clipsearch concept suggest rex -k 5 --json
    """
    if as_json and null:
        raise click.UsageError("--json cannot be combined with -0", context)
    with open_library(runtime=runtime, device=device) as library:
        suggestions = library.concepts.suggest(name, k=k)
    if as_json:
        write_json([suggestion_to_json(item) for item in suggestions])
    else:
        write_paths([item.path for item in suggestions], end=b"\0" if null else b"\n")
    if not suggestions:
        click.echo("no suggestions: the library has no other pictures", err=True)
        context.exit(NOTHING_FOUND)


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path())
@encoder_options
@common_options
def confirm(*, name: str, pictures: tuple[str, ...], runtime: str, device: str) -> None:
    """Add pictures to the positive examples of NAME, and refit it.

    A picture that was rejected before becomes a positive example.

    \b
    Examples:
      clipsearch concept confirm rex park.jpg '~#a1b2c3d4'
    """
    with open_library(runtime=runtime, device=device) as library:
        click.echo(concept_line(library.concepts.confirm(name, *pictures)))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.argument("pictures", metavar="PICTURE...", nargs=-1, required=True, type=click.Path())
@encoder_options
@common_options
def reject(*, name: str, pictures: tuple[str, ...], runtime: str, device: str) -> None:
    """Add pictures to the negative examples of NAME, and refit it.

    \b
    Examples:
      clipsearch concept reject rex neighbours-dog.jpg
    """
    with open_library(runtime=runtime, device=device) as library:
        click.echo(concept_line(library.concepts.reject(name, *pictures)))


@concept.command("list")
@json_option("Print a JSON list of objects: name, text, positives, negatives, added_at.")
@common_options
def list_(*, as_json: bool) -> None:
    """List the concepts of the library.

    \b
    Examples:
      clipsearch concept list
    """
    with open_library() as library:
        concepts = library.concepts.all()
    if as_json:
        write_json([concept_to_json(item) for item in concepts])
    elif not concepts:
        click.echo("no concepts yet; add one with: clipsearch concept add NAME --positive PICTURE...")
    else:
        click.echo("\n".join(map(concept_line, concepts)))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@json_option("Print a JSON object with the examples and the fit.")
@common_options
def show(*, name: str, as_json: bool) -> None:
    """Show the examples and the fit of the concept NAME.

    \b
    Examples:
      clipsearch concept show rex
      clipsearch concept show rex --json
    """
    with open_library() as library:
        details = library.concepts.get(name)
    if as_json:
        write_json(details_to_json(details))
    else:
        click.echo("\n".join(details_lines(details)))


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@common_options
def remove(*, name: str) -> None:
    """Remove the concept NAME; its pictures stay.

    \b
    Examples:
      clipsearch concept remove rex
    """
    with open_library() as library:
        removed = library.concepts.remove(name)
    click.echo(f"removed @{display_text(removed.name)}")


@concept.command()
@click.argument("name", shell_complete=suggest_concepts)
@click.argument("file", type=click.Path(path_type=Path))
@encoder_options
@common_options
def export(*, name: str, file: Path, runtime: str, device: str) -> None:
    """Export the concept NAME to a new JSON file.

    The file has the content hashes of the examples and the fitted vector, but no pictures.

    \b
    Examples:
      clipsearch concept export rex rex.json
    """
    with open_library(runtime=runtime, device=device) as library:
        library.concepts.export(name, file)
    click.echo(f"wrote {display_path(file)}")
