"""``clipsearch roots``: the indexed folders, and where their drives are."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.arguments import suggest_roots
from clipsearch.cli.options import common_options, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import display_text, format_count


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects: path, files, online.")
@common_options
@click.pass_context
def roots(context: click.Context, as_json: bool) -> None:
    """Show the indexed folders, or say that one has moved or is to be forgotten.

    A folder whose drive is unplugged is offline: its pictures stay in the library and are found. Plugged in
    elsewhere, a drive is recognised when the folder is indexed again; where the system does not tell drives
    apart (network shares, some macOS volumes), say it with ``clipsearch roots move``.

    \b
    Examples:
      clipsearch roots
      clipsearch roots move /media/old/photos /media/new/photos
      clipsearch roots remove /media/usb
    """
    if context.invoked_subcommand is not None:
        return
    with open_library() as library:
        known = library.roots.all()
    if as_json:
        write_json([{"path": str(root.path), "files": root.files, "online": root.online} for root in known])
    elif not known:
        click.echo("no folder is indexed yet; add one with: clipsearch index FOLDER")
    for root in known if not as_json else []:
        state = "online" if root.online else "offline"
        click.echo(f"{state:<8} {root.files:>9,}  {display_text(str(root.path))}")


@roots.command()
@click.argument("old", type=click.Path(path_type=Path), shell_complete=suggest_roots)
@click.argument("new", type=click.Path(path_type=Path))
@common_options
def move(*, old: Path, new: Path) -> None:
    """Say that the indexed folder OLD is at NEW now.

    One row of the library changes; no picture is read. With the same path twice, the drive that is there now
    is taken for the folder's own, for instance after its pictures were copied to a new one.
    """
    with open_library() as library:
        moved = library.roots.move(old, new)
    click.echo(f"{display_text(str(moved.path))} now holds {format_count(moved.files, 'indexed picture')}")


@roots.command()
@click.argument("folder", type=click.Path(path_type=Path), shell_complete=suggest_roots)
@common_options
def remove(*, folder: Path) -> None:
    """Forget the indexed FOLDER; the files in it are not touched.

    Its embeddings stay in the library until ``clipsearch compact``, so that adding the folder again is quick.
    """
    with open_library() as library:
        count = library.roots.remove(folder)
    click.echo(f"forgot {format_count(count, 'file')} of {display_text(str(folder))}")
