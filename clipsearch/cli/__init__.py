"""The command line: parse, call the library once, show what it returned.

Each command is one module, imported only when it runs, so that ``clipsearch --help`` is instant. To add
one, write its module and add a line to `COMMANDS`.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping

import click

from clipsearch.cli.errors import ErrorReportingGroup
from clipsearch.cli.lazy import LazyCommand, LazyGroup
from clipsearch.cli.log import show_log
from clipsearch.cli.options import Settings, common_options

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Mapping[str, LazyCommand] = {
    "index": LazyCommand("clipsearch.cli.index:index", "Add folders of pictures to the library, or update them."),
    "search": LazyCommand("clipsearch.cli.search:search", "Find pictures by words."),
    "similar": LazyCommand("clipsearch.cli.similar:similar", "Find pictures that look like a given one."),
    "status": LazyCommand("clipsearch.cli.status:status", "Show what the library holds."),
    "models": LazyCommand("clipsearch.cli.models:models", "List the models, and compile them for fast use on CPUs."),
    "evaluate": LazyCommand("clipsearch.cli.evaluate:evaluate", "Measure a model's text-to-image retrieval."),
    "demo": LazyCommand("clipsearch.cli.demo:demo", "Index a few bundled photographs and search them, to see it work."),
}


class _Cli(ErrorReportingGroup, LazyGroup):
    """The top group: commands load lazily, and errors become one line and an exit status."""


@click.group(
    cls=_Cli,
    commands_table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    no_args_is_help=False,
)
@common_options
@click.version_option(package_name="clipsearch", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Search your own pictures by words or by example, privately, on this machine.

    \b
    Examples:
      clipsearch index ~/Pictures
      clipsearch search two dogs playing in the snow
      clipsearch similar holiday.jpg -k 5
      clipsearch demo
    """
    settings = context.ensure_object(Settings)
    show_log(debug=settings.debug)
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


def main() -> None:
    """Run the command line and exit; the console script ``clipsearch``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a console that lacks a character shows its code instead of ending the program
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # those of other people's code; ours go through `notify` and logging
    cli.main(prog_name="clipsearch")
