"""Search results as text: a table or previews on a terminal, aligned columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.media.metadata.values import date_text
from clipsearch.text import clock_time, display_path, display_text

if TYPE_CHECKING:
    from clipsearch.cli.terminal import Terminal
    from clipsearch.retrieval.results import SearchResult

_GAP = 2
"""Columns between a preview and its text."""

_MIN_TEXT = 24
"""The minimum columns of the text beside a preview; on a narrower terminal there are no previews."""


def write_for_terminal(results: Sequence[SearchResult], *, base: Path | None, preview: str) -> None:
    """Write the results with previews if the terminal can show them, else as a table."""
    from clipsearch.cli.terminal import drawing_terminal

    # query the terminal only if there is something to draw: it may take a moment
    any_picture = any(result.thumbnail is not None or result.path.is_file() for result in results)
    terminal = drawing_terminal(preview) if any_picture else None
    if terminal is not None and terminal.columns >= terminal.box.columns + _GAP + _MIN_TEXT:
        _write_with_previews(results, base, terminal)
    else:
        _write_table(results, base)


def write_aligned(results: Sequence[SearchResult], *, base: Path | None) -> None:
    """Write one line per result, for pipes and files."""
    rank_width = max((len(str(result.rank)) for result in results), default=0)
    size_width = max((len(_size(result)) for result in results), default=0)
    for result in results:
        path = display_path(result.path, base=base)
        size = f"{_size(result):>{size_width}}"
        click.echo(f"{result.rank:>{rank_width}}  {_score(result):>6}  {size}  {path}{_notes(result)}")


def _write_table(results: Sequence[SearchResult], base: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("Score", justify="right")
    table.add_column("Size", justify="right", style="dim", no_wrap=True)
    table.add_column("Picture", overflow="fold")  # last, so that a right-to-left name disturbs no other column
    for result in results:
        link = Style(link=result.path.as_uri()) if result.path.is_absolute() else Style()
        path = Text(display_path(result.path, base=base), style=link)
        path.append(_notes(result), style="yellow")
        table.add_row(str(result.rank), _score(result), _size(result), path)
    Console(highlight=False, markup=False, emoji=False).print(table)


def _write_with_previews(results: Sequence[SearchResult], base: Path | None, terminal: Terminal) -> None:
    from clipsearch.cli.previews import preview_jpeg
    from clipsearch.cli.terminal_images import draw

    for result in results:
        jpeg = preview_jpeg(result)
        picture = draw(terminal.protocol, jpeg, terminal.box) if jpeg is not None else ""
        lines = _lines_beside(result, base, width=terminal.columns - terminal.box.columns - _GAP)
        click.echo(_block(picture, lines, terminal), nl=False, color=True)


def _lines_beside(result: SearchResult, base: Path | None, *, width: int) -> list[str]:
    """The text beside a preview, in lines that do not wrap."""
    from rich.cells import chop_cells

    taken = f"  {date_text(result.taken_at, result.taken_precision)}" if result.taken_at else ""
    head = f"{result.rank}  {_score(result)}".rstrip()
    return [head, *chop_cells(display_path(result.path, base=base) + _notes(result), width), f"{_size(result)}{taken}"]


def _block(picture: str, lines: Sequence[str], terminal: Terminal) -> str:
    """One result: the picture, and the text at its right."""
    height = max(terminal.box.rows + 1, len(lines))
    column = f"\x1b[{terminal.box.columns + _GAP + 1}G"
    text = "".join(f"{column}{line}\n" for line in lines) + "\n" * (height - len(lines))
    # make room first: scrolling while a picture is drawn would separate it from its text
    return "\n" * height + f"\x1b[{height}A" + (f"\x1b7{picture}\x1b8" if picture else "") + text


def _size(result: SearchResult) -> str:
    return f"{result.width}×{result.height}"


def _notes(result: SearchResult) -> str:
    notes: list[str] = [result.match] if result.match in ("strong", "possible") else []
    notes += [matched_text(result)] if any(item.excerpt for item in result.matched) else []
    notes += [] if result.online else ["offline"]
    notes += [_moment(result)] if result.duration_s is not None else []
    notes += [f"segment {result.part}"] if result.part is not None else []
    others = len(result.copies) + len(result.near_duplicates)
    notes += [f"and {others:,} more"] if others else []
    notes += [f"with {', '.join(display_text(path.name) for path in result.stack)}"] if result.stack else []
    return f"  ({', '.join(notes)})" if notes else ""


def matched_text(result: SearchResult) -> str:
    """Why it is a result, on one line: the first excerpt of each kind of text."""
    shown = {item.kind: item.excerpt for item in reversed(result.matched)}
    kinds = dict.fromkeys(item.kind for item in result.matched)
    return "; ".join(f'{kind} "{display_text(shown[kind])}"' if shown[kind] else kind for kind in kinds)


def _moment(result: SearchResult) -> str:
    """When a video matches, and how long it is."""
    start_s, end_s, duration_s = result.segment.start_s, result.segment.end_s, result.duration_s or 0.0
    is_all = not start_s and (end_s is None or end_s >= duration_s)
    span = "" if is_all or start_s is None else f"at {clock_time(start_s)}–{clock_time(end_s or start_s)} of "
    return f"{span}{clock_time(duration_s)}"


def _score(result: SearchResult) -> str:
    return "" if result.score is None else f"{result.score:.3f}"
