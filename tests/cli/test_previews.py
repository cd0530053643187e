"""Previews in the terminal: the escape sequences decoded back to pixels, and which terminal gets which."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from clipsearch.cli.output import write_results
from clipsearch.cli.result_format import ResultsFormat
from clipsearch.cli.terminal import Terminal, ask_for_sixel, detect_protocol, drawing_terminal
from clipsearch.cli.terminal_images import Box, draw, kitty_image, sixel_image
from clipsearch.retrieval.results import SearchResult
from tests.conftest import save_photo

BOX = Box(columns=18, rows=6, cell_width=10, cell_height=20)


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(3).integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def jpeg(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=95)
    return written.getvalue()


def decode_sixel(text: str) -> NDArray[np.uint8]:
    """The pixels of a sixel image, uint8 [height, width, 3], read as a terminal does."""
    found = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', text, flags=re.DOTALL)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    pixels = np.zeros((height, width, 3), np.uint8)
    drawn = np.zeros((height, width), bool)
    registers: dict[int, NDArray[np.uint8]] = {}
    x, y, colour = 0, 0, -1
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|(\$)|(-)", found[3]):
        if token[1]:
            registers[int(token[1])] = np.array([round(int(token[i]) * 2.55) for i in (2, 3, 4)], np.uint8)
        elif token[5]:
            colour = int(token[5])
        elif token[9]:
            x = 0
        elif token[10]:
            x, y = 0, y + 6
        else:
            count, bits = int(token[6] or 1), ord(token[7] or token[8]) - 63
            for row in range(6):
                if bits >> row & 1:
                    assert not drawn[y + row, x : x + count].any(), "a pixel is drawn twice"
                    drawn[y + row, x : x + count] = True
                    pixels[y + row, x : x + count] = registers[colour]
            x += count
    assert drawn.all(), "every pixel is drawn"
    assert re.sub(r"#\d+(;2;\d+;\d+;\d+)?|!\d+[?-~]|[?-~$]|-", "", found[3]) == ""
    return pixels


# --- the protocols ----------------------------------------------------------------------------------------


@given(width=st.integers(1, 40), height=st.integers(1, 20), colours=st.integers(1, 6))
def test_sixels_are_the_picture(width: int, height: int, colours: int) -> None:
    generator = np.random.default_rng(width * 1000 + height)
    palette = generator.integers(0, 256, size=(colours, 3), dtype=np.uint8)
    values = palette[generator.integers(0, colours, size=(height, width))]
    shown = decode_sixel(sixel_image(Image.fromarray(values)))
    assert np.abs(shown.astype(int) - values).max() <= 4  # a colour is named in percent


def test_a_sixel_photo_looks_like_the_photo() -> None:
    gradient = np.linspace(0, 255, 180, dtype=np.uint8)[None, :, None] * np.ones((121, 1, 3), np.uint8)
    gradient[..., 1] = np.linspace(0, 255, 121, dtype=np.uint8)[:, None]
    shown = decode_sixel(sixel_image(Image.fromarray(gradient.astype(np.uint8))))
    assert shown.shape == (121, 180, 3)
    assert np.abs(shown.astype(int) - gradient).mean() < 12


def test_runs_are_written_as_runs() -> None:
    text = sixel_image(Image.new("RGB", (100, 12), "red"))
    assert text.count("!100~") == 2 and len(text) < 60


def decode_kitty(text: str) -> tuple[dict[str, str], Image.Image]:
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in parts) == text
    keys = [dict(key.split("=") for key in part.split(",")) for part, _ in parts]
    assert [part["m"] for part in keys] == ["1"] * (len(parts) - 1) + ["0"]
    assert all(len(data) <= 4096 for _, data in parts)
    assert all(len(data) % 4 == 0 for _, data in parts[:-1])
    content = base64.b64decode("".join(data for _, data in parts), validate=True)
    return keys[0], Image.open(io.BytesIO(content), formats=["PNG"])


def test_kitty_gets_the_pixels_in_chunks() -> None:
    image = noise(150, 100)
    keys, shown = decode_kitty(kitty_image(image, BOX))
    assert np.array_equal(np.asarray(shown), np.asarray(image))
    assert keys == {"a": "T", "f": "100", "q": "2", "C": "1", "r": "6", "m": "1"}


@pytest.mark.parametrize(
    ("size", "shown", "key"), [((900, 300), (180, 60), ("c", "18")), ((300, 900), (40, 120), ("r", "6"))]
)
def test_a_picture_is_fitted_into_its_room(size: tuple[int, int], shown: tuple[int, int], key: tuple[str, str]) -> None:
    keys, image = decode_kitty(draw("kitty", jpeg(Image.new("RGB", size, "blue")), BOX))
    assert image.size == shown
    assert key in keys.items()
    height, width, _ = decode_sixel(draw("sixel", jpeg(Image.new("RGB", size, "blue")), BOX)).shape
    assert (width, height) == shown


def test_iterm2_gets_the_file_itself() -> None:
    content = jpeg(noise(30, 20))
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", draw("iterm2", content, BOX))
    assert found is not None
    assert base64.b64decode(found[2]) == content
    keys = dict(key.split("=") for key in found[1].split(";"))
    assert keys == {
        "inline": "1", "size": str(len(content)), "width": "18", "height": "6", "preserveAspectRatio": "1"
    }  # fmt: skip


@pytest.mark.parametrize("protocol", ["kitty", "sixel"])
def test_a_damaged_preview_draws_nothing(protocol: str) -> None:
    assert draw(protocol, b"\xff\xd8\xff\xd9", BOX) == ""  # type: ignore[arg-type]


# --- which terminal gets which ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1", "TERM_PROGRAM": "vscode"}, "asked"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, "asked"),
        ({"TERM": "screen", "STY": "1.x", "LC_TERMINAL": "iTerm2"}, "asked"),
        ({"TERM": "xterm-256color"}, "asked"),
        ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "linux"}, None),
        ({}, None),
    ],
)
def test_terminals_are_known_by_their_environment(environment: dict[str, str], protocol: str | None) -> None:
    asked: list[bool] = []
    found = detect_protocol(environment, draws_sixel=lambda: asked.append(True) is None)
    assert (found, bool(asked)) == (("sixel", True) if protocol == "asked" else (protocol, False))
    if protocol == "asked":
        assert detect_protocol(environment, draws_sixel=lambda: False) is None


@pytest.fixture
def pseudo_terminal() -> Iterator[tuple[int, int]]:
    """Descriptors of both ends: the terminal's and the program's."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are for POSIX")
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.skipif(sys.platform == "win32", reason="termios is for POSIX")
@pytest.mark.parametrize(
    ("answer", "draws"),
    [
        (b"\x1b[?62;4;22c", True),
        (b"\x1b[?62;22;4c", True),
        (b"\x1b[?4;6c", False),  # a VT132: that 4 is its kind
        (b"\x1b[?1;2c", False),
        (b"\x1b[?64;14;44c", False),
    ],
)
def test_a_terminal_is_asked_for_sixel(pseudo_terminal: tuple[int, int], answer: bytes, draws: bool) -> None:
    import termios

    terminal, program = pseudo_terminal
    before = termios.tcgetattr(program)
    asked: list[bytes] = []

    def respond() -> None:
        asked.append(os.read(terminal, 16))
        os.write(terminal, answer[:4])
        os.write(terminal, answer[4:])

    thread = threading.Thread(target=respond)
    thread.start()
    assert ask_for_sixel(program, timeout_s=5) is draws
    thread.join()
    assert asked == [b"\x1b[c"]
    assert termios.tcgetattr(program) == before


@pytest.mark.skipif(sys.platform == "win32", reason="termios is for POSIX")
def test_a_terminal_that_says_nothing_or_is_typed_into(pseudo_terminal: tuple[int, int]) -> None:
    terminal, program = pseudo_terminal
    assert ask_for_sixel(program, timeout_s=0.01) is False
    assert os.read(terminal, 16) == b"\x1b[c"
    os.write(terminal, b"ls\n")
    assert ask_for_sixel(program, timeout_s=5) is False
    assert os.read(program, 16) == b"ls\n", "what was typed is still there"


# --- results with previews --------------------------------------------------------------------------------


def pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is captured pass for a kitty of 80 by 24; in the test itself, as its stdout is another than before."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "xterm-kitty")
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)


def result(path: Path) -> SearchResult:
    return SearchResult(path, 0.25, 1, width=48, height=32, format="PNG", content_hash="0" * 32)


def test_a_result_is_shown_with_its_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    photo = save_photo(tmp_path / ("long" * 30 + ".png"), "red")
    write_results([result(photo)], k=None, results_format=ResultsFormat(), base=tmp_path)
    shown = capsys.readouterr().out
    before, picture, after = re.split(r"\x1b7|\x1b8", shown)
    _, image = decode_kitty(picture)
    red, green, blue = np.asarray(image).mean(axis=(0, 1))
    assert red > 200 and green < 60 and blue < 60
    assert before == "\n" * 7 + "\x1b[7A"
    lines = re.findall(r"\x1b\[21G([^\n]*)\n", after)
    assert lines[0] == "1  0.250" and lines[-1] == "48×32"
    assert "".join(lines[1:-1]) == photo.name
    assert all(len(line) <= 60 for line in lines)
    assert after.count("\n") == 7


@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
def test_a_small_terminal_gets_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    pretend_terminal(monkeypatch)
    monkeypatch.setenv(name, "7" if name == "LINES" else "40")
    write_results([result(save_photo(tmp_path / "x.png", "red"))], k=None, results_format=ResultsFormat())
    shown = capsys.readouterr().out
    assert "\x1b_G" not in shown and "Score" in shown


def test_previews_can_be_switched_off_or_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_terminal(monkeypatch)
    assert drawing_terminal("none") is None
    forced = drawing_terminal("sixel")
    assert isinstance(forced, Terminal) and forced.protocol == "sixel" and forced.columns == 80
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert drawing_terminal("kitty") is None


@pytest.mark.parametrize(
    ("arguments", "variable", "preview"),
    [
        ([], None, "auto"),
        ([], "none", "none"),
        (["--preview", "sixel"], "none", "sixel"),
        (["--no-preview"], "kitty", "none"),
    ],
)
def test_the_option_and_the_variable(arguments: list[str], variable: str | None, preview: str) -> None:
    import click
    from click.testing import CliRunner

    from clipsearch.cli.result_format import results_options

    seen: list[ResultsFormat] = []

    @click.command()
    @results_options
    def command(options: object, results_format: ResultsFormat) -> None:
        seen.append(results_format)

    done = CliRunner().invoke(command, arguments, env={"CLIPSEARCH_PREVIEW": variable})
    assert done.exit_code == 0, done.output
    assert seen[0].preview == preview
