"""``clipsearch completion``: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from clipsearch.cli.options import debug_option

VARIABLE = "_CLIPSEARCH_COMPLETE"
"""What the script sets when it asks for completions; click derives the same name from that of the program."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@debug_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete clipsearch.

    Commands, options, saved searches, concepts, indexed folders and models are completed. To install it, for bash
    (4.4 or newer) add the first line below to ~/.bashrc, for zsh the second to ~/.zshrc after compinit, for fish run
    the third once; then open a new terminal.

    \b
    Examples:
      eval "$(clipsearch completion bash)"
      eval "$(clipsearch completion zsh)"
      clipsearch completion fish > ~/.config/fish/completions/clipsearch.fish
    """
    shell_class = get_completion_class(shell)
    assert shell_class is not None
    root = context.find_root().command
    # not found.source(): for bash that runs whatever bash is first on the path, to look at its version
    click.echo(ShellComplete.source(shell_class(root, {}, "clipsearch", VARIABLE)))
