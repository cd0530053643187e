"""Reports of evaluations as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipsearch.evaluation import Bootstrap, Difference, EvaluationReport
from clipsearch.evaluation.labels import BARE, ENSEMBLE, PROMPT, LabelsReport
from clipsearch.evaluation.overlap import OverlapReport
from clipsearch.models.encoder import Encoder

_OF_MINI = """
**Read with care**: `mini` was trained on the ImageNet samples and on the stamps
([model card](../data/models/mini/MODEL_CARD.md)), so that their figures say that names were learned, not that they
generalise. The `dev` split of Flickr8k was not trained on, but the recipe was selected on it.
"""


def introduction(encoder: Encoder, bootstrap: Bootstrap) -> str:
    """What the report is about."""
    text = (
        f"# {encoder.spec}, evaluated\n\n"
        f"Written by `make evaluate`; [evaluation.md](evaluation.md) has the protocols, the metrics and the tests. "
        f"Weights `{encoder.fingerprint[:16]}`, {encoder.precision}. Intervals are 95 % bootstrap intervals over "
        f"pictures ({bootstrap.resamples:,} resamples, seed {bootstrap.seed}); p is of the paired bootstrap.\n"
    )
    return text + (_OF_MINI if encoder.spec == "mini" else "")


def section(title: str, says: str, report: EvaluationReport, bootstrap: Bootstrap, *, plot: Path | None) -> str:
    """One task: its figures, its comparisons, what follows, and its plot."""
    figures = [
        (figure.name, f"{figure.value:.1%}", f"{figure.low:.1%} – {figure.high:.1%}", f"{figure.queries:,}")
        for figure in report.figures(bootstrap)
    ]
    parts = [f"## {title}", says, _table(("measure", "value", "95 % interval", "queries"), figures)]
    contrasts = report.differences(bootstrap)
    if contrasts:
        rows = [
            (
                found.name,
                f"{100 * found.value:+.1f}",
                f"{100 * found.low:+.1f} – {100 * found.high:+.1f}",
                _p(found.p_value),
                found.verdict,
            )
            for found in contrasts
        ]
        parts.append(_table(("comparison", "points", "95 % interval", "p", ""), rows))
    if isinstance(report, LabelsReport):
        parts.append(prompting_verdict(report.model, contrasts))
    if isinstance(report, OverlapReport):
        seen = ", ".join(f"`{one.image}` (`{'`, `'.join(one.training)}`)" for one in report.seen) or "none"
        parts.append(
            f"{len(report.seen)} of {report.images:,} photos are among the {report.training_images:,} "
            f"of the training set as well: {seen}."
        )
    if plot is not None:
        parts.append(f"![{title}]({plot.name})")
    return "\n" + "\n\n".join(parts) + "\n"


def prompting_verdict(model: str, contrasts: Sequence[Difference]) -> str:
    """Whether prompts beat bare labels and ensembles beat one prompt, in a sentence each."""
    by_name = {found.name: found for found in contrasts}
    sentences = []
    for better, worse in ((PROMPT, BARE), (ENSEMBLE, PROMPT), (ENSEMBLE, BARE)):
        found = by_name[f"{better} over {worse}, top-1"]
        says = {"higher": "beats", "lower": "is worse than"}.get(found.verdict, "is not clearly different from")
        subject = f"**{better.capitalize()} {says} {worse}**"
        sentences.append(f"{subject} for {model} here ({100 * found.value:+.1f} points top-1, p {_p(found.p_value)}).")
    return " ".join(sentences)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, ("---", *("---:" for _ in heading[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
