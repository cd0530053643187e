"""Arguments that several commands share: queries, and names with shell completion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from clipsearch.catalog.shell_completion import NameKind, names_for_completion
from clipsearch.cli.options import Settings
from clipsearch.config import library_place
from clipsearch.text import composed

NEGATIVE_TERM = re.compile(r'-(?:\d*\.?\d+:|["~@]|[^\W\d_]{2})')
"""The start of a negative term: a weight, a quote, a picture, a concept, or two letters; no option starts so."""

_MARK = "\0"
"""Cannot occur in a command-line argument."""

_BEFORE_VALUE = re.compile(r"[+-]?(?:\d*\.?\d+:)?(?:[A-Za-z]+:|[~@])?")


class QueryCommand(click.Command):
    """A command whose arguments are a query: ``-people`` is a term, not an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Mark negative terms so that click does not parse them; `query_line` removes the mark."""
        end = args.index("--") if "--" in args else len(args)
        marked = [_MARK + arg if NEGATIVE_TERM.match(arg) else arg for arg in args[:end]]
        return super().parse_args(ctx, marked + args[end:])


def query_line(arguments: Sequence[str]) -> str:
    """The query of the arguments.

    A single argument is the query. Of several, those with white space were quoted for the shell and are quoted again.

    >>> query_line(["two", "dogs", "-people"])
    'two dogs -people'
    >>> query_line(["red bicycle", "folder:Summer 2021"])
    '"red bicycle" folder:"Summer 2021"'
    """
    words = [argument.removeprefix(_MARK) for argument in arguments]
    return words[0] if len(words) == 1 else " ".join(_quoted(argument) for argument in words)


def _quoted(argument: str) -> str:
    if '"' in argument or not re.search(r"\s", argument):
        return argument
    prefix = _BEFORE_VALUE.match(argument)
    start = prefix.end() if prefix else 0
    return f'{argument[:start]}"{argument[start:]}"'


def suggest_saved(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of saved searches."""
    return _from_library(context, "saved", incomplete)


def suggest_concepts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of concepts."""
    return _from_library(context, "concepts", incomplete)


def suggest_roots(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Paths of roots."""
    return _from_library(context, "roots", incomplete)


def suggest_presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of model presets."""
    from clipsearch.models.presets import PRESETS

    return [
        CompletionItem(preset.name, help=preset.description)
        for preset in PRESETS.values()
        if preset.name.startswith(incomplete)
    ]


def _from_library(context: click.Context, what: NameKind, incomplete: str) -> list[CompletionItem]:
    library = context.ensure_object(Settings).library or library_place()
    names = names_for_completion(library, what) if isinstance(library, Path) else []  # a database would be too slow
    return [CompletionItem(text) for text in names if composed(text).startswith(composed(incomplete))]
