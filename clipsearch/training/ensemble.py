"""Between the original weights and the trained ones: how much of either makes the best model that forgets little."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from clipsearch.training.trainee import Trainee
from clipsearch.training.validation import HitRates

SHARES = tuple(number / 10 for number in range(11))
UNMEASURED = 0.5
"""The share where there is nothing to choose it by. Source: Wortsman et al. 2022, §4.1 (α = 0.5)."""


@dataclass(frozen=True)
class SharePoint:
    """What a share of the trained weights reaches.

    Attributes:
        share: α, from 0 (the original) to 1 (as trained).
        validation: on held-out pairs of the new kind; ``None`` if there are none.
        retention: on pairs of what the model could do before; ``None`` if there are none.
    """

    share: float
    validation: HitRates | None
    retention: HitRates | None


def interpolate(original: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights (1 - α) · original + α · trained; α = 0 and 1 give either exactly.

    Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, §3 (WiSE-FT).
    """
    if share in (0.0, 1.0):
        return dict(trained if share else original)
    return {
        name: original[name].lerp(own.to(original[name].device), share) if own.is_floating_point() else own
        for name, own in trained.items()
    }


def measure_shares(
    trainee: Trainee,
    original: Mapping[str, Tensor],
    trained: Mapping[str, Tensor],
    *,
    shares: Sequence[float],
    validate: Callable[[], HitRates] | None,
    retain: Callable[[], HitRates] | None,
) -> list[SharePoint]:
    """What each share reaches; leaves the model at the last of them."""
    points = []
    for share in shares:
        trainee.restore(interpolate(original, trained, share))
        points.append(SharePoint(share, validate() if validate else None, retain() if retain else None))
    return points


def choose_share(points: Sequence[SharePoint], *, retention_loss: float) -> float:
    """The share with the best validation among those that forget no more than allowed.

    Without validation it is the largest of these; without either, `UNMEASURED`.

    Args:
        points: of rising shares, the original first.
        retention_loss: how much the hit rate at 10 on the retention pairs may fall, in points.
    """
    base = points[0].retention
    kept = [
        point
        for point in points
        if base is None or point.retention is None or base.at_10 - point.retention.at_10 <= retention_loss / 100 + 1e-12
    ]
    if points[0].validation is None:
        return min(UNMEASURED, points[-1].share) if base is None else kept[-1].share
    return max(kept, key=lambda point: (_merit(point), -point.share)).share


def _merit(point: SharePoint) -> float:
    assert point.validation is not None
    return point.validation.mean_reciprocal_rank
