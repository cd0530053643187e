"""Generates docs/cli.md from the help of the commands: ``python -m clipsearch.cli.reference docs/cli.md``.

With ``--check`` nothing is written, and the exit status is 1 if the file is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from clipsearch.cli import cli

WIDTH = 100
"""Columns of the help texts, on every terminal."""

_INTRODUCTION = """# Commands

Generated from the help of the commands by `make reference`; do not edit. See also the [query language](query.md) and
the [output formats](output.md).
"""


def reference() -> str:
    """The text of docs/cli.md."""
    return "\n".join([_INTRODUCTION, *_sections(cli, None, "clipsearch", level=2)])


def _sections(command: click.Command, parent: click.Context | None, name: str, *, level: int) -> Iterator[str]:
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    help_text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"{'#' * level} {context.command_path}\n\n```text\n{help_text}\n```\n"
    if isinstance(command, click.Group):
        for subname in command.list_commands(context):
            subcommand = command.get_command(context, subname)
            if subcommand is not None:
                yield from _sections(subcommand, context, subname, level=min(level + (parent is not None), 6))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Only compare; write nothing.")
@click.pass_context
def main(context: click.Context, file: Path, check: bool) -> None:
    """Write the command reference to FILE."""
    text = reference()
    if not check:
        file.write_text(text, encoding="utf-8", newline="\n")
    elif not file.is_file() or file.read_text(encoding="utf-8") != text:
        click.echo(f"{file} is out of date; run: make reference", err=True)
        context.exit(1)


if __name__ == "__main__":
    main()
