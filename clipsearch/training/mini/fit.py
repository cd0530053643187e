"""The training loop: image head and text side, by contrast, over cached features of the image backbone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsearch.training.losses import clip_loss, matching_loss
from clipsearch.training.mini.data import TrainingData
from clipsearch.training.mini.text_side import TextSide
from clipsearch.training.mini.towers import ImageHead

logger = logging.getLogger(__name__)
INITIAL_LOGIT_SCALE = 1 / 0.07  # CLIP §2.5
MAX_LOGIT_SCALE = 100.0  # CLIP §2.5


@dataclass(frozen=True)
class Stage:
    """How one stage of training runs.

    Attributes:
        epochs: passes over the captioned photos, one caption of each per pass.
        head_lr: highest learning rate of the image head; rates rise and fall over one cycle.
        projection_lr: of the text projection.
        layers_lr: of the text backbone's own layers, where they are trained.
        scale_lr: of the logarithm of the logit scale; well above the others, or the temperature never arrives.
        batch: captioned photos per step.
        named_batch: named pictures per step.
        named_weight: weight of the loss over named pictures.
        keyword_weight: weight of the loss over the captioned photos and one keyword of each.
        weight_decay: of AdamW, on everything but the logit scale.
        noise: standard deviation of the Gaussian noise on standardised features.
    """

    epochs: int
    head_lr: float = 1e-3
    projection_lr: float = 2e-4
    layers_lr: float = 1e-4
    scale_lr: float = 1e-2
    batch: int = 1024
    named_batch: int = 700
    named_weight: float = 0.3
    keyword_weight: float = 0.3
    weight_decay: float = 0.05
    noise: float = 0.2


class Trained(nn.Module):
    """What is trained: the image head, the text side and the temperature between them."""

    def __init__(self, image: ImageHead, text: TextSide) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_LOGIT_SCALE)))

    def logit_scale(self) -> Tensor:
        """The inverse temperature, exponentiated and clamped, a scalar."""
        return self.log_scale.exp().clamp(max=MAX_LOGIT_SCALE)


def fit(
    model: Trained,
    views: NDArray[np.float16],
    data: TrainingData,
    stage: Stage,
    *,
    rng: np.random.Generator,
    after_epoch: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a model in place; the same input and seeds give the same weights on the same machine.

    Args:
        model: on the device to train on; torch's own generator drives dropout and noise.
        views: features of every picture's views, float16 [views, images, width].
        data: which text is true of which picture.
        stage: how.
        rng: draws views, captions and batches.
        after_epoch: told the number of each epoch done and its mean loss.

    Returns:
        The mean loss of each epoch.
    """
    batches = _Batches(views, data, rng, next(model.parameters()).device)
    steps = max(1, len(data.train) // stage.batch)
    optimizer, schedule = _optimizer(model, stage, stage.epochs * steps)
    losses: list[float] = []
    for epoch in range(stage.epochs):
        model.train()
        total = 0.0
        for chosen in np.array_split(rng.permutation(data.train), steps):
            loss = _loss(model, batches, chosen, stage)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        losses.append(total / steps)
        if after_epoch is not None:
            model.eval()
            after_epoch(epoch + 1, losses[-1])
    model.eval()
    return losses


class _Batches:
    """Draws views, captions and phrases."""

    def __init__(
        self, views: NDArray[np.float16], data: TrainingData, rng: np.random.Generator, device: torch.device
    ) -> None:
        self.views = views
        self.data = data
        self.caption_rows = data.caption_rows
        self.phrase_rows = data.phrase_rows
        self.rng = rng
        self.device = device
        self.keyword_rows = data.keyword_rows
        self.truth = _matrix(data.truth, len(data.phrases))
        self.spoken = _matrix(data.spoken, len(data.keywords))

    def pictures(self, chosen: NDArray[np.int64]) -> Tensor:
        """One random view of each picture: float32 [n, width]."""
        views = self.rng.integers(len(self.views), size=len(chosen))
        return torch.from_numpy(self.views[views, chosen].astype(np.float32)).to(self.device)

    def captions(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of one random caption of each picture."""
        return self.caption_rows[chosen, self.rng.integers(self.caption_rows.shape[1], size=len(chosen))]

    def named(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Tensor]:
        """Some named pictures, one true phrase of each without repeats, and which is true of which.

        Returns:
            Numbers of the pictures [n], numbers of the texts [m], and boolean [n, m].
        """
        rows = self.rng.permutation(len(self.data.truth))[:count]
        drawn = np.unique([self.rng.choice(self.data.truth[row]) for row in rows])
        true = torch.from_numpy(self.truth[np.ix_(rows, drawn)]).to(self.device)
        return self.data.named[rows], self.phrase_rows[drawn], true

    def keyworded(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Tensor]:
        """One keyword of each captioned picture without repeats, and which is true of which.

        Returns:
            Places in `chosen` of the pictures that have keywords [n], numbers of the texts [m], boolean [n, m].
        """
        places = np.array([place for place, row in enumerate(chosen) if self.data.spoken[row]], dtype=np.int64)
        said = [self.rng.choice(self.data.spoken[chosen[place]]) for place in places]
        drawn = np.unique(np.array(said, dtype=np.int64))
        true = torch.from_numpy(self.spoken[np.ix_(chosen[places], drawn)]).to(self.device)
        return places, self.keyword_rows[drawn], true


def _matrix(true: Sequence[Sequence[int]], columns: int) -> NDArray[np.bool_]:
    """Boolean [rows, columns] of the columns that are true of each row."""
    matrix = np.zeros((len(true), columns), dtype=bool)
    for row, own in enumerate(true):
        matrix[row, list(own)] = True
    return matrix


def _loss(model: Trained, batches: _Batches, chosen: NDArray[np.int64], stage: Stage) -> Tensor:
    """CLIP's loss over captioned pictures, and its many-to-many form over named ones and over keywords."""
    named, phrases, true = batches.named(stage.named_batch)
    pictures = batches.pictures(np.concatenate([chosen, named]))
    images = model.image(pictures, stage.noise * torch.randn_like(pictures))
    places, keywords, said = batches.keyworded(chosen)
    sizes = [len(chosen), len(phrases), len(keywords)]
    texts = model.text(np.concatenate([batches.captions(chosen), phrases, keywords])).split(sizes)
    scale = model.logit_scale()
    loss = clip_loss(images[: len(chosen)], texts[0], scale)
    loss = loss + stage.named_weight * matching_loss(images[len(chosen) :], texts[1], true, scale)
    if len(places) and stage.keyword_weight:
        spoken = matching_loss(images[torch.from_numpy(places).to(images.device)], texts[2], said, scale)
        loss = loss + stage.keyword_weight * spoken
    return loss


def _optimizer(
    model: Trained, stage: Stage, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    candidates = [
        {"params": list(model.image.parameters()), "lr": stage.head_lr},
        {"params": list(model.text.projection.parameters()), "lr": stage.projection_lr},
        {"params": [model.log_scale], "lr": stage.scale_lr, "weight_decay": 0.0},
        {"params": model.text.trained_layers(), "lr": stage.layers_lr},
    ]
    groups = [group for group in candidates if any(parameter.requires_grad for parameter in group["params"])]  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(groups, weight_decay=stage.weight_decay)
    rates = [float(group["lr"]) for group in groups]  # type: ignore[arg-type]
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.15)
