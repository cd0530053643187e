"""What a calibration reaches, as figures for its file and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.retrieval.relevance.calibration import BANK_FEATURES, Calibration
from clipsearch.training.mini import calibration_fit as fitting
from clipsearch.training.mini.calibration_fit import FALSE_POSITIVE_RATES
from clipsearch.training.mini.calibration_set import Trials

Figures = dict[str, Any]


def figures(calibration: Calibration, trials: Trials, *, small: Trials, labels: Trials) -> Figures:
    """What was reached, by kind of query.

    Args:
        calibration: what was fitted.
        trials: captions, which the library's regression was fitted on; measured out of fold.
        small: captions asked of libraries that the bank alone has to tell about; measured out of fold.
        labels: class names, none of which was fitted on.
    """
    bank_part = small.features[:, -len(BANK_FEATURES) :]
    return {
        "captions": _of_kind(fitting.out_of_fold(trials.features, trials), trials, calibration),
        "captions, few pictures": _of_kind(fitting.out_of_fold(bank_part, small), small, calibration),
        "labels": _of_kind(calibration.library.probabilities(labels.features), labels, calibration),
    }


def lines(measured: Figures, prompting: dict[str, list[float]], calibration: Calibration) -> Iterator[str]:
    """The figures for people."""
    for kind, of_kind in measured.items():
        yield f"{kind}: is there a match in this library at all ({of_kind['trials']:,} trials, half of them without)"
        yield f"  ROC AUC         {_interval(of_kind['auc'])}"
        yield f"  best cosine     {_interval(of_kind['cosine_auc'])}"
        yield f"  gain            {_interval(of_kind['gain'])}"
        yield f"  told right by the best cutoff: {of_kind['best_accuracy']:.1%}"
        yield f"  by the best cosine cutoff:     {of_kind['cosine_best_accuracy']:.1%}"
        rates = "  ".join(f"{rate:>5.0%}" for rate in FALSE_POSITIVE_RATES)
        yield f"  at false positive rate {rates}"
        for name in ("recall", "cosine_recall"):
            values = "  ".join(f"{value:>5.1%}" for value in of_kind[f"{name}_at_false_positive_rate"])
            yield f"  {name.replace('_', ' '):<22} {values}"
        for size, (fitted, cosine) in of_kind["by_size"].items():
            yield f"  {size:>5} pictures: AUC {fitted:.3f}, cosine {cosine:.3f}"
        for name in ("strong", "possible"):
            level = of_kind[name]
            yield (
                f"  {name:<8} precision {level['precision']:.1%}, recall {level['recall']:.1%}, "
                f"false positives {level['false_positive_rate']:.1%}, itself the answer {level['own_precision']:.1%}"
            )
        yield f"  calibration error {of_kind['calibration_error']:.3f}"
    yield f"thresholds: strong {calibration.strong:.3f}, possible {calibration.possible:.3f}"
    yield "short queries, bare and in templates:"
    for name, (first, second) in prompting.items():
        yield f"  {name}: {first:.4f}, {second:.4f}"
    yield f"  templates are {'on' if calibration.prompt_ensemble else 'off'}"


def _of_kind(probabilities: NDArray[np.float64], trials: Trials, calibration: Calibration) -> Figures:
    fitted, cosine, gain = fitting.auc_figures(probabilities, trials.best_cosine, trials)
    by_size = {}
    for size in np.unique(trials.size).tolist():
        rows = trials.size == size
        part = trials.where(rows)
        if True:
            by_size[str(size)] = [
                _rounded(fitting.auc(probabilities[rows], part)),
                _rounded(fitting.auc(part.best_cosine, part)),
            ]
    return {
        "trials": len(trials.present),
        "auc": _figure(fitted),
        "cosine_auc": _figure(cosine),
        "gain": _figure(gain),
        "best_accuracy": _rounded(fitting.best_accuracy(probabilities, trials)),
        "cosine_best_accuracy": _rounded(fitting.best_accuracy(trials.best_cosine, trials)),
        "recall_at_false_positive_rate": [_rounded(value) for value in fitting.recalls(probabilities, trials)],
        "cosine_recall_at_false_positive_rate": [
            _rounded(value) for value in fitting.recalls(trials.best_cosine, trials)
        ],
        "by_size": by_size,
        "strong": _level(probabilities >= calibration.strong, trials),
        "possible": _level(probabilities >= calibration.possible, trials),
        "calibration_error": _rounded(fitting.calibration_error(probabilities, trials.present)),
    }


def _level(called: NDArray[np.bool_], trials: Trials) -> dict[str, float]:
    count = max(1, int(called.sum()))
    return {
        "precision": _rounded((called & trials.present).sum() / count),
        "recall": _rounded((called & trials.present).sum() / trials.present.sum()),
        "false_positive_rate": _rounded((called & ~trials.present).sum() / (~trials.present).sum()),
        "own_precision": _rounded((called & trials.found).sum() / count),
    }


def _figure(figure: fitting.Figure) -> list[float]:
    return [_rounded(figure.value), _rounded(figure.low), _rounded(figure.high)]


def _interval(figure: Sequence[float]) -> str:
    value, low, high = figure
    return f"{value:.3f}  (95 % interval {low:.3f} to {high:.3f})"


def _rounded(value: float) -> float:
    return round(float(value), 4)
