"""``clipsearch tag``: the tags of pictures, assigned by the model or by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.arguments import QueryCommand, query_line
from clipsearch.cli.options import common_options, encoder_options, json_option, open_library
from clipsearch.cli.output import NOTHING_FOUND, suggest_tags, write_json
from clipsearch.config import typed_path
from clipsearch.query import Condition
from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.library import Library


@click.group(invoke_without_command=True, no_args_is_help=False)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your own vocabulary: a table with the columns name, synonyms (a|b) and group, or one word per line.",
)
@encoder_options
@common_options
@click.pass_context
def tag(context: click.Context, *, vocabulary: Path | None, runtime: str, device: str) -> None:
    """Tag pictures, automatically or by hand.

    Without a subcommand, assigns tags from a vocabulary of everyday words to all pictures, and from then on to newly
    indexed ones, too. Search with tag:dog; synonyms and plurals are found as well. Tags set or removed by hand override
    the model. See docs/tags.md.

    \b
    Examples:
      clipsearch tag
      clipsearch tag list
      clipsearch search tag:dog tag:beach
      clipsearch tag add holiday folder:Crete
      clipsearch tag remove dog wolf.jpg
    """
    if context.invoked_subcommand is not None:
        if vocabulary is not None:
            raise click.UsageError("--vocabulary cannot be combined with a subcommand", context)
        return
    with open_library(runtime=runtime, device=device) as library:
        report = library.tags.assign(vocabulary=vocabulary)
    click.echo(
        f"assigned {format_count(report.tags, 'tag')} to {report.tagged:,} of "
        f"{format_count(report.pictures, 'picture')}, from a vocabulary of {format_count(report.words, 'word')}"
    )


@tag.command("list", cls=QueryCommand)
@click.argument("words", metavar="[QUERY]...", nargs=-1)
@json_option("Print a JSON list of objects: tag, images, by_person.")
@common_options
@click.pass_context
def list_(context: click.Context, *, words: tuple[str, ...], as_json: bool) -> None:
    """List the tags by frequency, of all pictures or of those that pass the filters of QUERY."""
    with open_library() as library:
        counts = library.tags.counts(query_line(words) if words else "")
    if as_json:
        write_json([vars(count) for count in counts])
        return
    if not counts:
        click.echo("no tags; assign tags with: clipsearch tag", err=True)
        context.exit(NOTHING_FOUND)
    for count in counts:
        by_hand = f"  ({count.by_person:,} by hand)" if count.by_person else ""
        click.echo(f"{count.images:>9,}  {display_text(count.tag)}{by_hand}")


@tag.command()
@click.argument("names", metavar="PICTURE...", nargs=-1, required=True)
@json_option("Print a JSON list of objects: picture, tags.")
@common_options
def show(*, names: tuple[str, ...], as_json: bool) -> None:
    """Show the tags of pictures, each with its probability or "by hand".

    PICTURE is a file of the library, or ~# and at least 6 digits of a content hash.
    """
    with open_library() as library:
        tags_by_picture = [(name, library.tags.of(library.browse.content_of(_picture(name)))) for name in names]
    if as_json:
        write_json([{"picture": name, "tags": [vars(item) for item in tags]} for name, tags in tags_by_picture])
        return
    for name, tags in tags_by_picture:
        descriptions = [
            f"{display_text(item.tag)} ({'by hand' if item.score is None else f'{item.score:.0%}'})" for item in tags
        ]
        click.echo(f"{display_text(name)}: {', '.join(descriptions) or 'no tags'}")


def _takes_pictures(command: Callable[..., None]) -> Callable[..., Any]:
    """Add NAME and the pictures, passed on as `library`, `name` and `pictures`."""

    @functools.wraps(command)
    def with_pictures(*, name: str, words: tuple[str, ...], k: int | None, runtime: str, device: str) -> None:
        with open_library(runtime=runtime, device=device) as library:
            command(library, name, _selected(library, words, k))

    decorated: Callable[..., Any] = common_options(encoder_options(with_pictures))
    for decorate in (
        click.option("-k", type=click.IntRange(min=1), metavar="N", help="With text in QUERY: use the N best results."),
        click.argument("words", metavar="PICTURE...|QUERY...", nargs=-1, required=True),
        click.argument("name"),
    ):
        decorated = decorate(decorated)
    return decorated


@tag.command(cls=QueryCommand)
@_takes_pictures
def add(library: Library, name: str, pictures: Sequence[Path | str]) -> None:
    """Add the tag NAME by hand to pictures, or to all that pass the filters of QUERY.

    \b
    Examples:
      clipsearch tag add rex dog1.jpg dog2.jpg
      clipsearch tag add holiday folder:Crete date:2021
      clipsearch tag add sunset a red sunset -k 20
    """
    used = library.tags.set(name, *pictures)
    click.echo(f"added {display_text(used)} to {format_count(len(pictures), 'picture')}")


@tag.command(cls=QueryCommand)
@_takes_pictures
def remove(library: Library, name: str, pictures: Sequence[Path | str]) -> None:
    """Remove the tag NAME by hand from pictures; the model does not assign it to them again.

    \b
    Examples:
      clipsearch tag remove dog wolf.jpg
      clipsearch tag remove snow folder:Beach
    """
    suggest_tags(library, str(Condition("tag", "=", name)))
    used = library.tags.unset(name, *pictures)
    click.echo(f"removed {display_text(used)} from {format_count(len(pictures), 'picture')}")


@tag.command(cls=QueryCommand)
@_takes_pictures
def forget(library: Library, name: str, pictures: Sequence[Path | str]) -> None:
    """Undo tag add and tag remove of NAME: the model decides again."""
    suggest_tags(library, str(Condition("tag", "=", name)))
    used = library.tags.reset(name, *pictures)
    click.echo(f"reset {display_text(used)} of {format_count(len(pictures), 'picture')}")


@tag.command()
@common_options
def drop() -> None:
    """Delete all tags assigned by the model, and assign none to newly indexed pictures."""
    with open_library() as library:
        dropped = library.tags.drop()
    click.echo(f"deleted the model's tags of {format_count(dropped, 'picture')}")


def _is_file(path: Path) -> bool:
    """Whether a word is a file, which may be on an offline root, and not part of a query."""
    from clipsearch.media.formats import IMAGE_SUFFIXES

    return typed_path(path).is_file() or path.suffix.lower() in IMAGE_SUFFIXES


def _picture(name: str) -> Path | str:
    """A path, or a content hash ``~#…``."""
    return name if name.startswith("~#") else Path(name)


def _selected(library: Library, words: tuple[str, ...], k: int | None) -> list[Path | str]:
    """The pictures that are named, if every word is a file or ``~#…``; else the results of the query."""
    if all(word.startswith("~#") or _is_file(Path(word)) for word in words):
        return [_picture(word) for word in words]
    from clipsearch.query import parse_query

    context, line = click.get_current_context(), query_line(words)
    if parse_query(line).terms and k is None:
        raise click.UsageError("a QUERY with text ranks all pictures; set how many to use with -k N", context)
    results = library.search(line, k=k or max(1, library.status().files))
    if not results:
        click.echo("no results", err=True)
        suggest_tags(library, line)
        context.exit(NOTHING_FOUND)
    return [f"~#{content_hash}" for content_hash in dict.fromkeys(result.content_hash for result in results)]
