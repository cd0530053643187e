"""The command line: parse, call the library once, show what it returned.

Each command is one module, imported only when it runs, so that ``clipsearch --help`` is instant. To add
one, write its module and add a line to `COMMANDS`.
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

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Mapping[str, str] = {
    "index": "Add folders of pictures to the library, or bring them up to date.",
    "search": "Find pictures by words, pictures and filters.",
    "similar": "Find pictures that look like a given one.",
    "classify": "Tell pictures apart by the names of classes, without examples.",
    "tag": "Give every picture the tags that fit it, or some by hand.",
    "save": "Save a search under a name, run it again and see what is new since.",
    "saved": "List the saved searches, run one, or see what is new in it.",
    "ui": "Search, look at pictures and index folders in a browser.",
    "serve": "Serve the library to other programs over HTTP, to many at once.",
    "mcp": "Offer the library to an assistant, over the Model Context Protocol.",
    "concept": "Teach the library a person, a pet or a thing by a few pictures, and search for it as @NAME.",
    "status": "Show what the library holds.",
    "failures": "List the files that could not be read, with reason and time.",
    "roots": "Show the indexed folders, or say that one has moved or is to be forgotten.",
    "watch": "Keep the library current: index what changes in its folders, as it changes.",
    "migrate": "Embed every picture with another model, then make searches use it.",
    "duplicates": "Find pictures that the library holds more than once; nothing is ever deleted.",
    "remove": "Forget files or folders, which stay on the disk.",
    "check": "Verify catalog, vector cache and previews against each other.",
    "compact": "Drop what belongs to deleted pictures.",
    "index-copy": "Move the vectors to another engine: FAISS, or Milvus.",
    "export": "Write paths, metadata, embeddings, tags and concepts to a new directory.",
    "import": "Take an exported directory into the library.",
    "models": "List the models, and compile them for fast use on CPUs.",
    "evaluate": "Measure a model, or compare two: retrieval, labels, few-shot, robustness.",
    "train": "Fine-tune a model on pictures with captions, or train one from scratch.",
    "completion": "Print a script that makes a shell complete clipsearch.",
    "demo": "Index a few bundled photographs and search them, to see it work.",
}
"""The help of each command, whose module in `clipsearch.cli.commands` has its name."""


class _Cli(ErrorReportingGroup, LazyGroup):
    """The top group: commands load lazily, and errors become one line and an exit status."""


@click.group(
    cls=_Cli,
    package="clipsearch.cli.commands",
    short_helps=COMMANDS,
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


_TELL_OF_LEFT_OBJECTS = {"onnx", "torch"}
"""Libraries that complain on stderr of objects that are not collected at the end."""


def main() -> None:
    """Run the command line and exit; the console script ``clipsearch``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a console that lacks a character shows its code instead of ending the program
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # those of other people's code; ours go through `notify` and logging
    try:
        cli.main(prog_name="clipsearch")
    finally:
        if not _TELL_OF_LEFT_OBJECTS & sys.modules.keys():
            gc.freeze()  # else the interpreter looks through all objects again before it ends: a quarter of a second
