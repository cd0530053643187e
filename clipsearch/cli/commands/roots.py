"""``clipsearch roots``: the indexed folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.arguments import suggest_roots
from clipsearch.cli.options import common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.catalog.reports import RootStatus


@click.group(invoke_without_command=True)
@json_option("Print a JSON list of objects: path, files, online, exclusions.")
@common_options
@click.pass_context
def roots(context: click.Context, as_json: bool) -> None:
    """List, move, exclude parts of or remove roots (the indexed folders).

    A root whose drive is not connected is offline: its pictures stay in the library and can be found. A drive that is
    connected at another path is recognized when the root is next indexed. Where the system cannot identify drives
    (network shares, some macOS volumes), use: clipsearch roots move

    \b
    Examples:
      clipsearch roots
      clipsearch roots move /media/old/photos /media/new/photos
      clipsearch roots remove /media/usb
      clipsearch roots exclude ~/Pictures 'drafts/'
    """
    if context.invoked_subcommand is not None:
        return
    with open_library() as library:
        known, everywhere = library.roots.all(), library.roots.exclusions()
    if as_json:
        write_json([_to_json(root, everywhere) for root in known])
    elif not known:
        click.echo("no roots yet; add one with: clipsearch index FOLDER")
    for root in known if not as_json else []:
        state = "online" if root.online else "offline"
        click.echo(f"{state:<8} {root.files:>9,}  {display_text(str(root.path))}")
        _show_exclusions(root.exclusions, is_default=root.default_exclusions)
    if everywhere and not as_json:
        click.echo("all roots")
        _show_exclusions(everywhere, is_default=True)


@roots.command()
@click.argument("old", type=click.Path(path_type=Path), shell_complete=suggest_roots)
@click.argument("new", type=click.Path(path_type=Path))
@common_options
def move(*, old: Path, new: Path) -> None:
    """Change the path of a root from OLD to NEW.

    No picture is read. With the same path twice, the root accepts the drive that is now at this path, for example
    after its pictures were copied to a new drive.
    """
    with open_library() as library:
        moved = library.roots.move(old, new)
    click.echo(f"moved      {format_count(moved.files, 'file')} to {display_text(str(moved.path))}")


@roots.command()
@click.argument("folder", type=click.Path(path_type=Path), shell_complete=suggest_roots)
@common_options
def remove(*, folder: Path) -> None:
    """Remove the root FOLDER from the library, not from disk.

    Its embeddings stay until clipsearch compact, so that adding the folder again is quick.
    """
    with open_library() as library:
        count = library.roots.remove(folder)
    click.echo(f"removed    {format_count(count, 'file')} of {display_text(str(folder))}")


@roots.command()
@click.argument("words", metavar="[FOLDER] [PATTERN]...", nargs=-1, shell_complete=suggest_roots)
@click.option("--all", "everywhere", is_flag=True, help="In all roots, without FOLDER.")
@click.option("--remove", "is_removed", is_flag=True, help="Remove the patterns.")
@click.option(
    "--defaults/--no-defaults", default=None, help="Exclude the private folders of other programs, or do not."
)
@common_options
def exclude(*, words: tuple[str, ...], everywhere: bool, is_removed: bool, defaults: bool | None) -> None:
    """Exclude what matches a PATTERN from the root FOLDER.

    Patterns use gitignore syntax: drafts/ is a folder of that name anywhere, /drafts/ only directly in FOLDER, *.png
    files by their ending, and !drafts/final/ makes an exception. The last pattern that matches decides. The next
    clipsearch index removes excluded pictures from the library; including them again needs no embedding.
    docs/indexing.md lists the private folders of other programs.

    \b
    Examples:
      clipsearch roots exclude ~/Pictures drafts/ '*.png'
      clipsearch roots exclude ~/Pictures drafts/ --remove
      clipsearch roots exclude --all 'screenshots/'
      clipsearch roots exclude ~/Pictures --no-defaults
    """
    folder, patterns = (None, words) if everywhere else (words[0] if words else None, words[1:])
    if folder is None and not everywhere:
        raise click.UsageError("name the root, or use --all")
    if not patterns and defaults is None:
        raise click.UsageError("name a pattern, for example: drafts/")
    with open_library() as library:
        if defaults is not None:
            library.roots.use_default_exclusions(defaults, folder)
        if patterns and is_removed:
            library.roots.stop_excluding(patterns, folder)
        elif patterns:
            library.roots.exclude(patterns, folder)
    click.echo("saved; apply it with: clipsearch index")


def _show_exclusions(patterns: Sequence[str], *, is_default: bool) -> None:
    for pattern in patterns:
        click.echo(f"{'':<8} {'excluded':>9}  {display_text(pattern)}")
    if not is_default:
        click.echo(f"{'':<8} {'included':>9}  private folders of other programs")


def _to_json(root: RootStatus, everywhere: Sequence[str]) -> dict[str, Any]:
    return {
        "path": str(root.path),
        "files": root.files,
        "online": root.online,
        "exclusions": list(root.exclusions),
        "default_exclusions": root.default_exclusions,
        "library_exclusions": list(everywhere),
    }
