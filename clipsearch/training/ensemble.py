"""Interpolation of original and trained weights (WiSE-FT), with the share chosen by validation and retention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from clipsearch.training.trainee import ContrastiveModel
from clipsearch.training.validation import HitRates

SHARES = tuple(number / 10 for number in range(11))
UNMEASURED = 0.5
"""Default share without validation and retention. Source: Wortsman et al. 2022, §4.1 (α = 0.5)."""


@dataclass(frozen=True)
class SharePoint:
    """Hit rates of a share of the trained weights.

    Attributes:
        share: α, from 0 (original) to 1 (trained).
        validation: on held-out pairs; ``None`` without them.
        retention: on pairs of the original domain; ``None`` without them.
    """

    share: float
    validation: HitRates | None
    retention: HitRates | None


def interpolate(original: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights (1 - α) · original + α · trained; exact for α = 0 and 1.

    Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, §3 (WiSE-FT).
    """
    if share in (0.0, 1.0):
        return dict(trained if share else original)
    return {
        name: original[name].lerp(value.to(original[name].device), share) if value.is_floating_point() else value
        for name, value in trained.items()
    }


def measure_shares(
    trainee: ContrastiveModel,
    original: Mapping[str, Tensor],
    trained: Mapping[str, Tensor],
    *,
    shares: Sequence[float],
    validate: Callable[[], HitRates] | None,
    retain: Callable[[], HitRates] | None,
) -> list[SharePoint]:
    """Measure each share; leaves the model at the last."""
    points = []
    for share in shares:
        trainee.restore(interpolate(original, trained, share))
        points.append(SharePoint(share, validate() if validate else None, retain() if retain else None))
    return points


def choose_share(points: Sequence[SharePoint], *, retention_loss: float) -> float:
    """The share with the best validation among those with acceptable retention.

    Without validation, the largest of these; without either, `UNMEASURED`.

    Args:
        points: by ascending share, starting with the original.
        retention_loss: maximum decrease of the hit rate @10 on the retention pairs, in points.
    """
    base = points[0].retention
    acceptable = [
        point
        for point in points
        if base is None or point.retention is None or base.at_10 - point.retention.at_10 <= retention_loss / 100 + 1e-12
    ]
    if points[0].validation is None:
        return min(UNMEASURED, points[-1].share) if base is None else acceptable[-1].share
    return max(acceptable, key=lambda point: (_reciprocal_rank(point), -point.share)).share


def _reciprocal_rank(point: SharePoint) -> float:
    assert point.validation is not None
    return point.validation.mean_reciprocal_rank
