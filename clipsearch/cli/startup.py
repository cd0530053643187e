"""Starting quickly: a command is imported only when it is used, and NumPy starts no threads for small questions."""

from __future__ import annotations

import importlib
import keyword
import os
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are modules of one package, each named as its command is: ``index-copy``, ``index_copy``.

    The module of a command that is a keyword of Python ends in ``_``.
    """

    def __init__(self, *args: Any, package: str, short_helps: Mapping[str, str], **kwargs: Any) -> None:
        """Bind the package, and the first sentence of each command's help, so that their list needs no import."""
        super().__init__(*args, **kwargs)
        self._package = package
        self._short_helps = short_helps

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return list(self._short_helps)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is asked for."""
        if cmd_name not in self._short_helps:
            return None
        name = cmd_name.replace("-", "_")
        name += "_" if keyword.iskeyword(name) else ""
        command = getattr(importlib.import_module(f"{self._package}.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self._package}.{name} has no click command of its name")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._short_helps.items()))


def limit_blas_threads() -> None:
    """For commands that ask small questions: have NumPy start no threads, which takes longer than what they would do.

    Only before NumPy is loaded; what the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
