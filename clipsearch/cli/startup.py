"""Fast startup: commands are imported when they are used, and NumPy starts no threads for small searches."""

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

    def __init__(self, *args: Any, package: str, groups: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        """Bind the package, and under each heading the commands with the first sentence of their help."""
        super().__init__(*args, **kwargs)
        self._package = package
        self._groups = groups

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the headings."""
        return [name for group in self._groups.values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        name += "_" if keyword.iskeyword(name) else ""
        command = getattr(importlib.import_module(f"{self._package}.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self._package}.{name} has no click command of its name")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, which suggests the nearest of the commands it has loaded: of all commands."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            raise click.exceptions.NoSuchCommand(name, possibilities=self.list_commands(ctx), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, in aligned columns, without importing any of them."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, commands in self._groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])


def limit_blas_threads() -> None:
    """Keep NumPy from starting threads, which takes longer than a small search; call it before NumPy is imported.

    A value that the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
