"""Plots of evaluation figures as PNG or SVG, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import ConfigError
from clipsearch.evaluation.few_shot import FewShotReport
from clipsearch.evaluation.report import EvaluationReport
from clipsearch.evaluation.robustness import CLEAN, MEASURES, RobustnessReport
from clipsearch.evaluation.significance import Bootstrap
from clipsearch.system.optional_packages import require_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_SUFFIXES = (".png", ".svg")
_COLORS = ("#3565a8", "#d1682c")
"""Colors of the first and second model, distinguishable for color-blind readers and in print."""

_CAPTION_LETTERS = 28
_DOTS_PER_INCH = 110


def check_plot_path(path: Path) -> None:
    """Check that a plot can be written, before the evaluation.

    Raises:
        ConfigError: the suffix is not ``.png`` or ``.svg``, the folder does not exist, or the extra `evaluate` is not
            installed.
    """
    require_extra("evaluate", what="a plot")
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"a plot is written as .png or .svg, not as {path.name}")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist")


def plot_reports(path: Path, reports: Sequence[EvaluationReport], bootstrap: Bootstrap) -> None:
    """Plot the figures of one or two models with their 95 % intervals.

    Args:
        path: ``.png`` or ``.svg``; replaced if it exists.
        reports: one or two reports of the same task.
        bootstrap: for the intervals.

    Raises:
        ConfigError: the file cannot be written.
    """
    first = reports[0]
    if isinstance(first, FewShotReport):
        canvas, axes = _canvas(width=6.4, height=4.2)
        _draw_curves(axes, [report for report in reports if isinstance(report, FewShotReport)], bootstrap)
    elif isinstance(first, RobustnessReport):
        canvas, axes = _canvas(width=7.2, height=4.2)
        _draw_gaps(axes, [report for report in reports if isinstance(report, RobustnessReport)], bootstrap)
    else:
        canvas, axes = _canvas(width=7.2, height=1.2 + 0.24 * len(first.measurements) * len(reports))
        _draw_figures(axes, reports, bootstrap)
    _save(canvas, path)


def plot_similarities(path: Path, matrices: Sequence[tuple[str, NDArray[np.float32]]], captions: Sequence[str]) -> None:
    """Plot cosine similarities of images and captions as heatmaps, one per model.

    Args:
        path: ``.png`` or ``.svg``; replaced if it exists.
        matrices: title and float32 [images, captions] per model; matching pairs are on the diagonal.
        captions: in the order of the columns.

    Raises:
        ConfigError: the file cannot be written.
    """
    from matplotlib.figure import Figure as Canvas

    side = 1.6 + 0.16 * len(captions)  # of a matrix, in inches, without its captions
    canvas = Canvas(figsize=((side + 1.2) * len(matrices) + 1.6, side + 2.6), dpi=_DOTS_PER_INCH, layout="constrained")
    labels = [_shortened(text) for text in captions]
    for place, (title, cosines) in enumerate(matrices):
        axes = canvas.add_subplot(1, len(matrices), place + 1)
        heatmap = axes.imshow(cosines, cmap="viridis", aspect="equal")  # with the model's range of cosines
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=6)
        axes.set_yticks(range(len(labels)), labels if place == 0 else [""] * len(labels), fontsize=6)
        axes.set_xlabel("caption")
        axes.set_ylabel("image of" if place == 0 else "")
        own, other = np.diag(cosines).mean(), cosines[~np.eye(len(cosines), dtype=bool)].mean()
        axes.set_title(f"{title}\nown {own:.2f}, others {other:.2f}", fontsize=9)
        canvas.colorbar(heatmap, ax=axes, shrink=0.7)
    _save(canvas, path)


def _draw_figures(axes: Axes, reports: Sequence[EvaluationReport], bootstrap: Bootstrap) -> None:
    """A dot with an interval per figure, from top to bottom."""
    in_all = set.intersection(*({measurement.name for measurement in report.measurements} for report in reports))
    names = [found.name for found in reports[0].measurements if found.name in in_all]
    for number, report in enumerate(reports):
        figures = [found for found in report.figures(bootstrap) if found.name in in_all]
        values = np.array([found.value for found in figures]) * 100
        ends = np.array([[found.low, found.high] for found in figures]).T * 100
        down = np.arange(len(names)) + (number - (len(reports) - 1) / 2) * 0.3
        axes.errorbar(
            values, down, xerr=_lengths(values, ends), fmt="o", ms=4, capsize=2, color=_COLORS[number],
            label=report.model,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)  # from top to bottom
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent, with 95 % intervals")
    axes.grid(axis="x", alpha=0.3)
    _head(axes, reports)


def _draw_gaps(axes: Axes, reports: Sequence[RobustnessReport], bootstrap: Bootstrap) -> None:
    """The gap of each corruption to clean images, as bars."""
    measure = MEASURES[0]
    names = reports[0].corruptions
    for number, report in enumerate(reports):
        gaps = {found.name: found for found in report.differences(bootstrap)}
        chosen = [gaps[f"{name}: {measure}"] for name in names]
        values = np.array([found.value for found in chosen]) * 100
        ends = np.array([[found.low, found.high] for found in chosen]).T * 100
        across = np.arange(len(names)) + (number - (len(reports) - 1) / 2) * 0.38
        clean = report.value(f"{CLEAN}: {measure}")
        axes.bar(
            across, values, width=0.36, yerr=_lengths(values, ends), capsize=3, color=_COLORS[number],
            label=f"{report.model} (clean {clean:.1%})",
        )  # fmt: skip
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(f"gap to clean, {measure}\n(points, with 95 % intervals)")
    axes.grid(axis="y", alpha=0.3)
    axes.set_title(f"robustness, severity {reports[0].severity}", fontsize=10)
    axes.legend(fontsize=8)


def _draw_curves(axes: Axes, reports: Sequence[FewShotReport], bootstrap: Bootstrap) -> None:
    """Accuracy by number of shots, with zero-shot as a horizontal line."""
    for number, report in enumerate(reports):
        figures = {found.name: found for found in report.figures(bootstrap)}
        for style, (curve, names) in zip(("o-", "s--"), report.curves().items(), strict=True):
            chosen = [figures[name] for name in names]
            values = np.array([found.value for found in chosen]) * 100
            ends = np.array([[found.low, found.high] for found in chosen]).T * 100
            axes.errorbar(
                report.shots, values, yerr=_lengths(values, ends), fmt=style, ms=4, capsize=2, color=_COLORS[number],
                label=f"{report.model}: {curve}",
            )  # fmt: skip
        level = report.value(report.zero_shot_name) * 100
        axes.axhline(level, color=_COLORS[number], lw=1, ls=":", label=f"{report.model}: zero-shot")
    axes.set_xscale("log", base=2)
    axes.set_xticks(reports[0].shots, [str(count) for count in reports[0].shots])
    axes.set_xlabel("labeled images per class")
    axes.set_ylabel("top-1 accuracy (%), with 95 % intervals")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _head(axes: Axes, reports: Sequence[EvaluationReport]) -> None:
    if len(reports) > 1:
        axes.legend(fontsize=8, loc="lower right")
        axes.set_title(reports[0].task, fontsize=10)
    else:
        axes.set_title(f"{reports[0].task}: {reports[0].model}", fontsize=10)


def _lengths(values: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths of the error bars, [2, figures]; not negative, although a percentile interval may exclude its figure."""
    return np.asarray(np.maximum(np.stack([values - ends[0], ends[1] - values]), 0.0), np.float64)


def _canvas(*, width: float, height: float) -> tuple[Canvas, Axes]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    return canvas, canvas.add_subplot()


def _save(canvas: Canvas, path: Path) -> None:
    import matplotlib as mpl

    # reproducible: no date and no version
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    try:
        with mpl.rc_context({"svg.hashsalt": "clipsearch"}):
            canvas.savefig(path, format=path.suffix.lower()[1:], metadata=metadata)
    except OSError as error:
        raise ConfigError(f"cannot write the plot {path}: {(error.strerror or str(error)).lower()}") from error


def _shortened(text: str) -> str:
    return text if len(text) <= _CAPTION_LETTERS else f"{text[: _CAPTION_LETTERS - 1]}…"
