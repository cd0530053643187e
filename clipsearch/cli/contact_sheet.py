"""A contact sheet: one self-contained HTML file of results."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.cli.previews import preview_jpeg
from clipsearch.errors import ConfigError
from clipsearch.media.metadata.values import date_text
from clipsearch.system import atomic
from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.retrieval.results import SearchResult

MARK = '<meta name="generator" content="clipsearch contact sheet">'
"""Identifies a contact sheet; within its first `_MARK_WITHIN` bytes."""

_MARK_WITHIN = 512

_HEAD = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARK}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
"""

_STYLE = """<style>
:root { --page: #fafafa; --text: #1c1c1c; --quiet: #5f5f5f; --frame: #ececec; }
@media (prefers-color-scheme: dark) {
  :root { --page: #161616; --text: #ececec; --quiet: #a8a8a8; --frame: #262626; }
}
body { margin: 0; padding: 1rem; background: var(--page); color: var(--text); font: 1rem/1.4 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.3rem; overflow-wrap: anywhere; }
header p, figcaption { color: var(--quiet); }
header p { margin: 0 0 1rem; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
figure { margin: 0; }
figure > a, figure > div { display: flex; align-items: center; justify-content: center; aspect-ratio: 4 / 3;
  background: var(--frame); border-radius: .4rem; overflow: hidden; }
img { max-width: 100%; max-height: 100%; object-fit: contain; }
figcaption { margin-top: .35rem; font-size: .85rem; overflow-wrap: anywhere; }
figcaption b { color: var(--text); }
</style>
"""


def check_replaceable(path: Path) -> None:
    """Refuse to overwrite anything but an older contact sheet.

    Raises:
        ConfigError: `path` is something else, or its folder does not exist.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist; create it first")
    if not path.exists() and not path.is_symlink():
        return
    try:
        with path.open("rb") as opened:
            is_ours = MARK.encode("ascii") in opened.read(_MARK_WITHIN)
    except OSError as error:
        raise ConfigError(f"cannot replace {path}: {error.strerror or error}; choose another file") from error
    if not is_ours:
        raise ConfigError(f"{path} exists and is not a contact sheet; choose another file")


def write_contact_sheet(path: Path, results: Sequence[SearchResult], *, title: str) -> None:
    """Write results as one HTML file, atomically.

    Args:
        path: a new file, or an older contact sheet.
        results: best first.
        title: the heading.

    Raises:
        ConfigError: `path` is something else, or cannot be written.
    """
    check_replaceable(path)
    try:
        with atomic.replacing(path) as file:
            file.writelines(part.encode("utf-8") for part in _parts(results, title))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def _parts(results: Sequence[SearchResult], title: str) -> Iterator[str]:
    name = _text(title) or "clipsearch"
    yield f"{_HEAD}<title>{name}</title>\n{_STYLE}</head>\n<body>\n"
    count = format_count(len(results), "picture") if results else "no results"
    yield f"<header>\n<h1>{name}</h1>\n<p>{count}</p>\n</header>\n<main>\n<ol>\n"
    for result in results:
        yield _item(result)
    yield "</ol>\n</main>\n</body>\n</html>\n"


def _item(result: SearchResult) -> str:
    details: list[str] = [result.match] if result.match in ("strong", "possible") else []
    details += [f"{result.width}×{result.height}"]
    details += [date_text(result.taken_at, result.taken_precision)] if result.taken_at else []
    details += [] if result.online else ["offline"]
    others = len(result.copies) + len(result.near_duplicates)
    details += [f"and {others:,} more"] if others else []
    details += [f"with {_text(', '.join(path.name for path in result.stack))}"] if result.stack else []
    score = "" if result.score is None else f" · {result.score:.3f}"
    return (
        f"<li>\n<figure>\n{_picture(result)}\n"
        f"<figcaption><b>{result.rank}</b>{score} · {' · '.join(details)}<br>{_text(str(result.path))}</figcaption>\n"
        "</figure>\n</li>\n"
    )


def _picture(result: SearchResult) -> str:
    """The preview, linked to the file if its path is absolute."""
    jpeg = preview_jpeg(result)
    alt = f"{result.rank}: {_text(result.path.name)}"
    if jpeg is None:
        return f'<div role="img" aria-label="{alt} (no preview)">no preview</div>'
    data = base64.standard_b64encode(jpeg).decode("ascii")
    image = f'<img src="data:image/jpeg;base64,{data}" alt="{alt}">'
    if not result.path.is_absolute():
        return f"<div>{image}</div>"
    return f'<a href="{escape(result.path.as_uri())}">{image}</a>'


def _text(text: str) -> str:
    """Untrusted text, escaped for HTML and as UTF-8."""
    return escape(display_text(text))
