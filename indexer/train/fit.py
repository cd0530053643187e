"""Training of the two heads over cached features of frozen backbones."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from indexer.train.data import TrainingData
from indexer.train.losses import clip_loss, distillation_loss, matching_loss
from indexer.train.towers import ImageHead, identity_projection

logger = logging.getLogger(__name__)
MAX_LOGIT_SCALE = 100.0  # CLIP §2.5


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome, apart from the data; the defaults are what `mini` is trained with.

    Attributes:
        epochs: passes over the captioned photos, one caption of each per pass.
        batch: captioned photos per step.
        named_batch: named pictures per step, drawn anew for each.
        lr: highest learning rate of the image head; the text projection gets a fifth.
        weight_decay: of AdamW.
        hidden: width of the image head's hidden layer.
        dropout: before each of its linear layers.
        noise: standard deviation of the Gaussian noise on standardised features.
        named_weight: weight of the loss over named pictures.
        distil_weight: weight of the classifier's distillation.
        seed: of everything random.
    """

    epochs: int = 30
    batch: int = 500
    named_batch: int = 500
    lr: float = 1e-3
    weight_decay: float = 0.05
    hidden: int = 2048
    dropout: float = 0.6
    noise: float = 0.2
    named_weight: float = 0.3
    distil_weight: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Features:
    """What the frozen backbones said.

    Attributes:
        views: float16 [views, images, width]; view 0 is the whole picture.
        captions: float16 [train and dev images, captions of each, text width].
        phrases: float16 [phrases, text width].
        classifier: the image backbone's own last layer, weight [classes, columns] and bias [classes], over the
            first `columns` features; ``None`` for no distillation. Class i is called ``labels[i]``.
    """

    views: NDArray[np.float16]
    captions: NDArray[np.float16]
    phrases: NDArray[np.float16]
    classifier: tuple[Tensor, Tensor] | None


@dataclass(frozen=True)
class Heads:
    """The result of a training run.

    Attributes:
        image: image head.
        text: text projection.
        logit_scale: the learned inverse temperature.
        losses: mean loss of each epoch.
    """

    image: ImageHead
    text: nn.Linear
    logit_scale: float
    losses: tuple[float, ...]


class _Model(nn.Module):
    """The trained parts together: two heads and two temperatures."""

    def __init__(self, image: ImageHead, text: nn.Linear) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(math.log(30.0)))
        self.log_teacher_scale = nn.Parameter(torch.tensor(math.log(30.0)))

    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    def teacher_scale(self) -> Tensor:
        return self.log_teacher_scale.exp().clamp(max=MAX_LOGIT_SCALE)


class _Batches:
    """Draws views, captions and phrases."""

    def __init__(self, features: Features, data: TrainingData, rng: np.random.Generator, device: torch.device) -> None:
        self.features = features
        self.data = data
        self.rng = rng
        self.device = device
        self.truth = np.zeros((len(data.truth), len(data.phrases)), dtype=bool)
        for row, own in enumerate(data.truth):
            self.truth[row, list(own)] = True

    def pictures(self, chosen: NDArray[np.int64]) -> Tensor:
        """One random view of each picture: float32 [n, width]."""
        views = self.rng.integers(len(self.features.views), size=len(chosen))
        return torch.from_numpy(self.features.views[views, chosen].astype(np.float32)).to(self.device)

    def captions(self, chosen: NDArray[np.int64]) -> Tensor:
        """One random caption of each picture: float32 [n, text width]."""
        which = self.rng.integers(self.features.captions.shape[1], size=len(chosen))
        return torch.from_numpy(self.features.captions[chosen, which].astype(np.float32)).to(self.device)

    def named(self, count: int) -> NDArray[np.int64]:
        """Rows of `TrainingData.truth`, drawn without repeats."""
        rows: NDArray[np.int64] = self.rng.permutation(len(self.truth))[:count]
        return rows

    def phrases(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """One true phrase of each named picture, without repeats, and what they are true of."""
        owns = [self.data.truth[row] for row in rows]
        drawn = np.unique([own[int(self.rng.integers(len(own)))] for own in owns])
        reached = self.truth[np.ix_(rows, drawn)]
        texts = torch.from_numpy(self.features.phrases[drawn].astype(np.float32))
        return texts.to(self.device), torch.from_numpy(reached).to(self.device)

    def class_names(self) -> Tensor:
        """For each class its bare name or its prompt, at random: float32 [classes, text width]."""
        which = self.rng.integers(2, size=len(self.data.labels))
        columns = [self.data.truth[row][column] for row, column in enumerate(which)]
        return torch.from_numpy(self.features.phrases[columns].astype(np.float32)).to(self.device)


def fit(features: Features, data: TrainingData, recipe: Recipe) -> Heads:
    """Train both heads; the same input and seed give the same weights on the same machine."""
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(recipe.seed)
    model = _start(features, data, recipe).to(device)
    classifier = None if features.classifier is None else tuple(part.to(device) for part in features.classifier)
    batches = _Batches(features, data, rng, device)
    steps = max(1, round(len(data.train) / recipe.batch))
    optimizer, schedule = _optimizer(model, recipe, recipe.epochs * steps)
    losses: list[float] = []
    for epoch in range(recipe.epochs):
        total = 0.0
        for chosen in np.array_split(rng.permutation(data.train), steps):
            loss = _loss(model, batches, chosen, classifier, recipe)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        losses.append(total / steps)
        logger.info("epoch %d of %d: loss %.3f", epoch + 1, recipe.epochs, losses[-1])
    model = model.cpu().eval()
    return Heads(model.image, model.text, float(model.scale().detach()), tuple(losses))


def _start(features: Features, data: TrainingData, recipe: Recipe) -> _Model:
    whole = torch.from_numpy(features.views[0, data.train].astype(np.float32))
    text_width = features.captions.shape[2]
    image = ImageHead(
        whole.mean(dim=0), whole.std(dim=0) + 1e-4, hidden=recipe.hidden, dim=text_width, dropout=recipe.dropout
    )
    return _Model(image, identity_projection(text_width, text_width)).train()


def _optimizer(
    model: _Model, recipe: Recipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    # The temperatures have few steps to find their place in, hence their faster rate.
    scales = [model.log_scale, model.log_teacher_scale]
    rates = [recipe.lr, recipe.lr / 5, recipe.lr * 10]
    groups = [
        {"params": list(model.image.parameters()), "weight_decay": recipe.weight_decay},
        {"params": list(model.text.parameters()), "weight_decay": recipe.weight_decay},
        {"params": scales, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.15)
    return optimizer, schedule


def _loss(
    model: _Model,
    batches: _Batches,
    chosen: NDArray[np.int64],
    classifier: tuple[Tensor, ...] | None,
    recipe: Recipe,
) -> Tensor:
    """Captions, named pictures and, over all of them, the classifier's opinion."""
    rows = batches.named(recipe.named_batch)
    pictures = batches.pictures(np.concatenate([chosen, batches.data.named[rows]]))
    embeddings = model.image(pictures, recipe.noise * torch.randn_like(pictures))
    captioned, named = embeddings[: len(chosen)], embeddings[len(chosen) :]
    loss = clip_loss(captioned, model.text(batches.captions(chosen)), model.scale())
    phrases, truth = batches.phrases(rows)
    loss = loss + recipe.named_weight * matching_loss(named, model.text(phrases), truth, model.scale())
    if classifier is not None and recipe.distil_weight > 0:
        weight, bias = classifier
        teacher = (pictures[:, : weight.shape[1]] @ weight.T + bias).softmax(dim=1)
        names = model.text(batches.class_names())
        distilled = distillation_loss(embeddings, names, teacher, model.teacher_scale())
        loss = loss + recipe.distil_weight * distilled
    return loss
