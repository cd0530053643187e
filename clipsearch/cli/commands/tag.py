"""``clipsearch tag``: tags that the library gives its pictures, and those that a person gives or takes away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import QueryCommand, query_line
from clipsearch.cli.options import common_options, encoder_options, open_library
from clipsearch.cli.output import NOTHING_FOUND, write_json
from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.library import Library

_WITH_WORDS = "a query with words finds all pictures, only in another order: say how many of the best with -k N"


@click.group(invoke_without_command=True, no_args_is_help=False)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Words of your own: a table with the columns name, synonyms (a|b) and group, or one word a line.",
)
@encoder_options
@common_options
@click.pass_context
def tag(context: click.Context, *, vocabulary: Path | None, runtime: str, device: str) -> None:
    """Give every picture the tags that fit it, or some by hand.

    They are taken from a vocabulary of everyday words. From then on, pictures that are indexed get theirs as well.
    Tags are found with tag:dog in queries, synonyms and plurals folded. What you say of a tag yourself stays, whatever
    the model says. docs/tags.md has more.

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
            raise click.UsageError("--vocabulary goes with clipsearch tag alone", context)
        return
    with open_library(runtime=runtime, device=device) as library:
        report = library.tags.assign(vocabulary=vocabulary)
    click.echo(
        f"{format_count(report.tagged, 'picture')} of {report.pictures:,} got {format_count(report.tags, 'tag')}, "
        f"from a vocabulary of {format_count(report.words, 'word')}"
    )


@tag.command("list", cls=QueryCommand)
@click.argument("words", metavar="[QUERY]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects: tag, images, by_person.")
@common_options
@click.pass_context
def list_(context: click.Context, *, words: tuple[str, ...], as_json: bool) -> None:
    """List the tags of the library's pictures, or of those that pass a query's filters, the most frequent first."""
    with open_library() as library:
        counts = library.tags.counts(query_line(words) if words else "")
    if as_json:
        write_json([vars(count) for count in counts])
        return
    if not counts:
        click.echo("there are no tags; make some with: clipsearch tag", err=True)
        context.exit(NOTHING_FOUND)
    for count in counts:
        by_person = f"  ({count.by_person:,} by hand)" if count.by_person else ""
        click.echo(f"{count.images:>9,}  {display_text(count.tag)}{by_person}")


@tag.command()
@click.argument("pictures", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects: picture, tags.")
@common_options
def show(*, pictures: tuple[str, ...], as_json: bool) -> None:
    """Show the tags of pictures, and who gave them.

    A FILE is one of the library, or ~# and the first digits of a content hash, as --json of a search gives it.
    """
    with open_library() as library:
        tags_by_picture = [(name, library.tags.of(library.browse.content_of(_picture(name)))) for name in pictures]
    if as_json:
        write_json([{"picture": name, "tags": [vars(item) for item in tags]} for name, tags in tags_by_picture])
        return
    for name, tags in tags_by_picture:
        descriptions = [
            f"{display_text(item.tag)} ({'by hand' if item.score is None else f'{item.score:.0%}'})" for item in tags
        ]
        click.echo(f"{display_text(name)}: {', '.join(descriptions) or 'no tags'}")


_NAME = click.argument("name")
_PICTURES = click.argument("words", metavar="FILE...|QUERY...", nargs=-1, required=True)
_K = click.option("-k", type=click.IntRange(min=1), metavar="N", help="Of a QUERY with words: the N best.")


@tag.command(cls=QueryCommand)
@_NAME
@_PICTURES
@_K
@encoder_options
@common_options
@click.pass_context
def add(context: click.Context, *, name: str, words: tuple[str, ...], k: int | None, runtime: str, device: str) -> None:
    """Give the tag NAME to pictures by hand: to FILEs of the library, or to all that pass the filters of a QUERY.

    \b
    Examples:
      clipsearch tag add rex dog1.jpg dog2.jpg
      clipsearch tag add holiday folder:Crete date:2021
      clipsearch tag add sunset a red sunset -k 20
    """
    with open_library(runtime=runtime, device=device) as library:
        pictures = _pictures(context, library, words, k)
        used = library.tags.set(name, *pictures)
    click.echo(f"{format_count(len(pictures), 'picture')} tagged {display_text(used)}")


@tag.command(cls=QueryCommand)
@_NAME
@_PICTURES
@_K
@encoder_options
@common_options
@click.pass_context
def remove(
    context: click.Context, *, name: str, words: tuple[str, ...], k: int | None, runtime: str, device: str
) -> None:
    """Take the tag NAME from pictures by hand: it is not given to them again, whatever the model says.

    \b
    Examples:
      clipsearch tag remove dog wolf.jpg
      clipsearch tag remove snow folder:Beach
    """
    with open_library(runtime=runtime, device=device) as library:
        pictures = _pictures(context, library, words, k)
        used = library.tags.unset(name, *pictures)
    click.echo(f"{format_count(len(pictures), 'picture')} not tagged {display_text(used)} any more")


@tag.command(cls=QueryCommand)
@_NAME
@_PICTURES
@_K
@encoder_options
@common_options
@click.pass_context
def forget(
    context: click.Context, *, name: str, words: tuple[str, ...], k: int | None, runtime: str, device: str
) -> None:
    """Take back what was said of the tag NAME by hand: the model's word counts again."""
    with open_library(runtime=runtime, device=device) as library:
        pictures = _pictures(context, library, words, k)
        used = library.tags.reset(name, *pictures)
    click.echo(f"{format_count(len(pictures), 'picture')}: the model's word on {display_text(used)} counts again")


@tag.command()
@common_options
def drop() -> None:
    """Take back all tags but those given by hand, and give none to pictures that are indexed from now on."""
    with open_library() as library:
        dropped = library.tags.drop()
    click.echo(f"took the model's tags from {format_count(dropped, 'picture')}")


def _is_file(path: Path) -> bool:
    """Whether a file is meant, also one whose drive is not there."""
    from clipsearch.media.decoding import IMAGE_SUFFIXES

    return path.expanduser().is_file() or path.suffix.lower() in IMAGE_SUFFIXES


def _picture(name: str) -> Path | str:
    """A file, or an earlier result's ``~#…``."""
    return name if name.startswith("~#") else Path(name)


def _pictures(context: click.Context, library: Library, words: tuple[str, ...], k: int | None) -> list[Path | str]:
    """Files where all that is named are files or ``~#…``, else what the query finds."""
    if all(word.startswith("~#") or _is_file(Path(word)) for word in words):
        return [_picture(word) for word in words]
    from clipsearch.query import parse_query

    line = query_line(words)
    if parse_query(line).terms and k is None:
        raise click.UsageError(_WITH_WORDS, context)
    results = library.search(line, k=k or max(1, library.status().files))
    if not results:
        click.echo("nothing found: no picture of the library passes", err=True)
        context.exit(NOTHING_FOUND)
    return [f"~#{content_hash}" for content_hash in dict.fromkeys(result.content_hash for result in results)]
