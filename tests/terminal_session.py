"""The picture of a terminal session in the README, from a real run: ``python -m tests.terminal_session FILE.svg``.

Runs the commands of `COMMANDS` over the demo's photographs in a pseudo-terminal and saves what they print as SVG.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from clipsearch.demo import copy_photographs

COMMANDS = (
    "index photos",
    "search a cup of coffee -k 3",
    "search 'motorcycle -people size:>0.2MP' -k 3",
    "similar photos/motorcycle_left.png -k 2",
)
COLUMNS = 88

_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""Rich's own without its fonts, which it loads from a server."""


def record(folder: Path) -> str:
    """Run the commands in `folder` and return the session as SVG."""
    copy_photographs(folder / "photos")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    for command in COMMANDS:
        console.print(Text.assemble(("$ ", "bold green"), (f"clipsearch {command}", "bold")))
        console.print(Text.from_ansi(_run(command, folder).rstrip()))
        console.print()
    svg = console.export_svg(title="clipsearch", code_format=_FORMAT, unique_id="terminal")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def _run(command: str, folder: Path) -> str:
    """What a command prints on a terminal; progress, which moves the cursor, is on stderr and left out."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "CLIPSEARCH_PREVIEW": "none"}
    environment |= {"CLIPSEARCH_LIBRARY": str(folder / "library"), "PYTHONPATH": os.pathsep.join(sys.path)}
    program = f"{sys.executable} -c 'from clipsearch.cli import main; main()'"
    if command.startswith("index"):
        command += " --model mini"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        f"{program} {command}", shell=True, cwd=folder, env=environment, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    printed = b""
    try:
        while block := os.read(ours, 65536):
            printed += block
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    if process.wait():
        raise SystemExit(f"clipsearch {command} failed:\n{errors}")
    return printed.decode().replace("\r\n", "\n")


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        svg = record(Path(folder))
    Path(sys.argv[1]).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
