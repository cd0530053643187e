"""A query line from the arguments that a shell has left of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

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
    given = [argument.removeprefix(_MARK) for argument in arguments]
    return given[0] if len(given) == 1 else " ".join(_quoted(argument) for argument in given)


def _quoted(argument: str) -> str:
    if '"' in argument or not re.search(r"\s", argument):
        return argument
    found = _BEFORE_VALUE.match(argument)
    start = found.end() if found else 0
    return f'{argument[:start]}"{argument[start:]}"'
