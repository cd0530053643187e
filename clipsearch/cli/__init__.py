"""The command line: parse, call the library once, show the result.

Each command is a module of its name in `clipsearch.cli.commands`, imported only when it runs, so that
``clipsearch --help`` is instant. To add one, write the module and add a line to `COMMAND_GROUPS`.
"""

from __future__ import annotations

import gc
import io
import sys
import warnings
from collections.abc import Mapping

import click

from clipsearch.cli.errors import ErrorReportingGroup
from clipsearch.cli.options import Settings, common_options
from clipsearch.cli.progress import show_log
from clipsearch.cli.startup import LazyGroup

__all__ = ["COMMANDS", "COMMAND_GROUPS", "cli", "main"]

COMMAND_GROUPS: Mapping[str, Mapping[str, str]] = {
    "Find pictures": {
        "search": "Find pictures by text, example pictures and filters.",
        "similar": "Find pictures similar to one or more pictures.",
        "duplicates": "Find duplicate and near-duplicate pictures.",
        "save": "Save a search under a name.",
        "saved": "List or run saved searches, or show their new matches.",
    },
    "Organize pictures": {
        "tag": "Tag pictures, automatically or by hand.",
        "concept": "Define concepts (a person, a pet, a thing) by example pictures.",
        "classify": "Classify pictures by label names (zero-shot).",
    },
    "Manage the library": {
        "index": "Add folders to the library, or update it.",
        "text": "Read the text in pictures, so that searches find it.",
        "watch": "Index changes in the library's roots as they happen.",
        "status": "Show the state of the library.",
        "failures": "List the files that could not be read.",
        "roots": "List, move, exclude parts of or remove roots (the indexed folders).",
        "remove": "Remove files or folders from the library, not from disk.",
        "check": "Check the library for damage, and repair it.",
        "compact": "Free the disk space of removed pictures.",
        "export": "Export paths, metadata, embeddings, tags and concepts.",
        "import": "Import an exported directory.",
        "index-copy": "Move the embeddings to another vector engine: FAISS or Milvus.",
    },
    "Models": {
        "models": "List the models, or compile one for fast use on CPUs.",
        "migrate": "Switch the library to another model.",
        "evaluate": "Evaluate a model, or compare two.",
        "train": "Fine-tune a model on captioned pictures, or train one from scratch.",
    },
    "Serve the library": {
        "ui": "Open the library in a web browser.",
        "serve": "Serve the library over HTTP.",
        "mcp": "Serve the library to AI assistants (Model Context Protocol).",
    },
    "Other": {
        "demo": "Index bundled photographs and search them.",
        "completion": "Print a completion script for your shell.",
    },
}
"""Commands by what they are for, each with the first sentence of its help."""

COMMANDS: Mapping[str, str] = {name: text for group in COMMAND_GROUPS.values() for name, text in group.items()}


class _Cli(ErrorReportingGroup, LazyGroup):
    """The top group: commands load lazily, and errors become one line and an exit status."""


@click.group(
    cls=_Cli,
    package="clipsearch.cli.commands",
    groups=COMMAND_GROUPS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    no_args_is_help=False,
)
@common_options
@click.version_option(package_name="clipsearch", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Search your own pictures by text or by example, privately, on this machine.

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


_WARN_OF_UNCOLLECTED = {"onnx", "torch"}
"""Libraries that warn on stderr about objects that are not collected at exit."""


_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""A start allocates much that stays; looking through it again and again would be a few percent of a short command."""


def main() -> None:
    """Run the command line and exit; the console script ``clipsearch``."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a console that cannot encode a character shows its code instead of failing
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # those of dependencies; ours go through `notify` and logging
    try:
        cli.main(prog_name="clipsearch")
    finally:
        if not _WARN_OF_UNCOLLECTED & sys.modules.keys():
            gc.freeze()  # skip the collection at exit: a quarter of a second
