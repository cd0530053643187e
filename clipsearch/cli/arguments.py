"""Arguments that several commands share: query lines, and the names that a shell completes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from clipsearch.catalog.shell_completion import Glanced, glance
from clipsearch.cli.options import Settings
from clipsearch.config import library_place

NEGATIVE_TERM = re.compile(r'-(?:\d*\.?\d+:|["~@]|[^\W\d_]{2})')
"""How a negative term begins: a weight, a quote, a picture, a concept, or two letters, which no option has."""

_MARK = "\0"
"""Kept from the shell by the system itself: no argument can hold it."""

_BEFORE_VALUE = re.compile(r"[+-]?(?:\d*\.?\d+:)?(?:[A-Za-z]+:|[~@])?")


class QueryCommand(click.Command):
    """A command whose arguments are a query line: ``-people`` is a term of it, not an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep negative terms out of click's way; `query_line` takes them back."""
        end = args.index("--") if "--" in args else len(args)
        marked = [_MARK + arg if NEGATIVE_TERM.match(arg) else arg for arg in args[:end]]
        return super().parse_args(ctx, marked + args[end:])


def query_line(arguments: Sequence[str]) -> str:
    """The line that a person meant.

    One argument is the line as it is. Of several, those that hold white space were quoted for the shell, and are
    quoted again.

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
    """Names of the library's saved searches."""
    return _from_library(context, "saved", incomplete)


def suggest_concepts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the library's concepts."""
    return _from_library(context, "concepts", incomplete)


def suggest_roots(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The indexed folders."""
    return _from_library(context, "roots", incomplete)


def suggest_presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models that have a short name."""
    from clipsearch.models.presets import PRESETS

    return [
        CompletionItem(preset.name, help=preset.description)
        for preset in PRESETS.values()
        if preset.name.startswith(incomplete)
    ]


def _from_library(context: click.Context, what: Glanced, incomplete: str) -> list[CompletionItem]:
    named = context.ensure_object(Settings).library
    library = named if named is not None else library_place()
    names = glance(library, what) if isinstance(library, Path) else []  # a database is too far for a completion
    return [CompletionItem(text) for text in names if text.startswith(incomplete)]
