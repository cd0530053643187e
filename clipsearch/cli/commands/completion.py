"""``clipsearch completion``: shell completion of commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from clipsearch.cli.options import Choice, debug_option

VARIABLE = "_CLIPSEARCH_COMPLETE"
"""The variable in which the script requests completions; click derives this name from the program's."""


@click.command()
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@debug_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for your shell.

    It completes commands, options, saved searches, concepts, roots and models. To install it: bash (4.4 or newer), add
    the first line below to ~/.bashrc; zsh, add the second to ~/.zshrc after compinit; fish, run the third once. Then
    open a new terminal.

    \b
    Examples:
      eval "$(clipsearch completion bash)"
      eval "$(clipsearch completion zsh)"
      clipsearch completion fish > ~/.config/fish/completions/clipsearch.fish
    """
    shell_class = get_completion_class(shell)
    assert shell_class is not None
    root = context.find_root().command
    # not shell_class.source(): for bash that runs the first bash on the path to read its version
    click.echo(ShellComplete.source(shell_class(root, {}, "clipsearch", VARIABLE)))
