"""``clipsearch duplicates``: duplicate pictures in the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from clipsearch.cli.options import Choice, common_options, json_option, null_option, open_library
from clipsearch.cli.output import write_json, write_paths
from clipsearch.text import display_path, display_text, format_bytes, format_count

if TYPE_CHECKING:
    from clipsearch.retrieval.duplicates import DuplicateFile, DuplicateGroup, DuplicateKind

_KINDS = ("identical", "same", "near")


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--kind",
    "kinds",
    type=Choice(_KINDS),
    multiple=True,
    help="Show only groups of this kind; repeatable. All kinds by default.",
)
@click.option("--no-stacks", is_flag=True, help="Compare RAW and JPEG, Live Photos and edits file by file.")
@json_option("Print a JSON list of objects: group, kind, reason, best, others.")
@click.option("--paths", "as_paths", is_flag=True, help="Print only the paths of all files but the best of each group.")
@null_option
@common_options
def duplicates(
    *, folder: Path | None, kinds: tuple[str, ...], no_stacks: bool, as_json: bool, as_paths: bool, null: bool
) -> None:
    """Find duplicate and near-duplicate pictures.

    With FOLDER, only among the files in it. Nothing is deleted. A group is "identical" (the same bytes), "same" (the
    same picture, re-encoded or resized) or "near" (cropped, rotated, mirrored or edited). The file marked * is the one
    to keep: the most pixels, then RAW, camera metadata, the earliest date, not rotated or mirrored, no lossless copy of
    a lossy file, the least compression. RAW and JPEG of one exposure, and a Live Photo, count as one file.

    \b
    Examples:
      clipsearch duplicates
      clipsearch duplicates ~/Pictures/phone --kind identical --kind same
      clipsearch duplicates --kind identical -0 | xargs -0 ls -l
    """
    if as_json and (as_paths or null):
        raise click.UsageError("--json cannot be combined with --paths or -0")
    with open_library() as library:
        chosen_kinds = cast("tuple[DuplicateKind, ...]", kinds or _KINDS)
        groups = library.duplicates.find(kinds=chosen_kinds, within=folder, stacks=not no_stacks)
    if as_json:
        write_json([group_to_json(number, group) for number, group in enumerate(groups, start=1)])
    elif as_paths or null:
        write_paths([file.path for group in groups for file in group.others], end=b"\0" if null else b"\n")
    else:
        click.echo(format_groups(groups))


def format_groups(groups: Sequence[DuplicateGroup]) -> str:
    """The groups as text, the best file of each marked, with the total size of the others."""
    if not groups:
        return "no duplicates"
    lines = [line for number, group in enumerate(groups, start=1) for line in _group_lines(number, group)]
    others = [file for group in groups for file in group.others]
    total = f"{format_count(len(groups), 'group')}; {_total(others)} in files not marked *; nothing was deleted"
    return "\n".join([*lines, total])


def group_to_json(number: int, group: DuplicateGroup) -> dict[str, Any]:
    """One element of the list that ``--json`` prints; sizes in bytes, width and height in pixels."""
    return {
        "group": number,
        "kind": group.kind,
        "reason": group.reason,
        "best": _file_to_json(group.best),
        "others": [_file_to_json(file) for file in group.others],
    }


def _file_to_json(file: DuplicateFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "size": file.size,
        "width": file.width,
        "height": file.height,
        "format": file.format,
        "content_hash": file.content_hash,
        "stack": [str(path) for path in file.stack],
    }


def _group_lines(number: int, group: DuplicateGroup) -> list[str]:
    rows = [(f"{file.width}×{file.height}", format_bytes(file.size)) for file in group.files]
    pixels_width, size_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{number:,}  {group.kind}  * {display_text(group.reason)}"]
    for file, (pixels, size) in zip(group.files, rows, strict=True):
        mark = "*" if file is group.best else " "
        lines.append(f"  {mark} {pixels:>{pixels_width}}  {size:>{size_width}}  {display_path(file.path)}{_with(file)}")
    return [*lines, ""]


def _with(file: DuplicateFile) -> str:
    return f"  (with {', '.join(display_text(path.name) for path in file.stack)})" if file.stack else ""


def _total(files: Sequence[DuplicateFile]) -> str:
    return format_bytes(sum(file.size for file in files))
