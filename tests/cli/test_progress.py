"""Progress of an indexing run on stderr."""

from __future__ import annotations

import pytest

from clipsearch.catalog.reports import IndexProgress
from clipsearch.cli.progress import PlainProgress, TerminalProgress, describe_progress, progress_reporter


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (IndexProgress(3, None, 0.0, None), "indexing: 3 pictures, still scanning"),
        (
            IndexProgress(1, None, 12.34, None),
            "indexing: 1 picture, still scanning, 12.3 images/s",
        ),
        (
            IndexProgress(1200, 5000, 45.0, 84.0),
            "indexing: 1,200 of 5,000 pictures, 45.0 images/s, 1 min 24 s left",
        ),
        (IndexProgress(0, 1, 0.0, None), "indexing: 0 of 1 picture"),
    ],
)
def test_a_line_says_how_far_how_fast_how_long(progress: IndexProgress, line: str) -> None:
    assert describe_progress(progress) == line


def test_plain_lines_come_at_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    with PlainProgress(clock=lambda: now) as reporter:
        for now in (101.0, 109.0, 110.0, 112.0, 121.0):
            reporter.update(IndexProgress(int(now), 200, 1.0, 200 - now))
        reporter.notify("skipping a\nb.jpg: the file is empty")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "indexing: 110 of 200 pictures, 1.0 images/s, 1 min 30 s left",
        "indexing: 121 of 200 pictures, 1.0 images/s, 1 min 19 s left",
        r"skipping a\nb.jpg: the file is empty",
    ]


def test_the_bar_shows_notices_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as reporter:
        reporter.update(IndexProgress(1, None, 0.0, None))
        reporter.update(IndexProgress(1, 2, 5.0, 0.2))
        reporter.notify("skipping [bold]x[/].jpg: " + "long " * 40)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "skipping [bold]x[/].jpg: " + "long " * 40 in captured.err


def test_no_terminal_means_plain_lines() -> None:
    assert isinstance(progress_reporter(), PlainProgress)
