"""The training loop: image head, text side and the last layers of the image backbone, by contrast, over what the
backbone makes of each view, which is computed before.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from clipsearch.training.losses import clip_loss, matching_loss
from clipsearch.training.mini.data import TrainingData
from clipsearch.training.mini.towers import POOLED_BELOW, ImageBackbone, ImageHead

logger = logging.getLogger(__name__)
INITIAL_LOGIT_SCALE = 1 / 0.07  # CLIP §2.5
MAX_LOGIT_SCALE = 100.0  # CLIP §2.5

CAPTIONED_SETS = ("flickr8k train", "coco train", "named train")
NAMED_SETS = (("samples", "stamps"), ("coco train",), ("named train",))
"""Sets whose phrases are true or false of each other's pictures; of the pictures of another group nothing is known."""


@dataclass(frozen=True)
class Stage:
    """How one stage of training runs.

    Attributes:
        epochs: passes over the captioned photos, one caption of each per pass.
        head_lr: highest learning rate of the image head; rates rise and fall over one cycle.
        projection_lr: of the text projection.
        layers_lr: of a backbone's own layers, where they are trained.
        scale_lr: of the logarithm of the logit scale; well above the others, or the temperature never arrives.
        batch: captioned photos per step.
        named_batch: named pictures per step, of each group of `NAMED_SETS`.
        classes: of the backbone's classifier per step, drawn at random.
        named_weight: weight of the loss over each group of named pictures.
        keyword_weight: weight of the loss over the captioned photos and one keyword of each.
        class_weight: weight of the distance to the backbone's own classifier.
        weight_decay: of AdamW, on everything but the logit scale.
        noise: standard deviation of the Gaussian noise on standardized features.
    """

    epochs: int
    head_lr: float = 1e-3
    projection_lr: float = 2e-4
    layers_lr: float = 1e-4
    scale_lr: float = 1e-2
    batch: int = 1024
    named_batch: int = 400
    classes: int = 1000
    named_weight: float = 0.2
    keyword_weight: float = 0.3
    class_weight: float = 0.3
    weight_decay: float = 0.05
    noise: float = 0.2


class Texts(Protocol):
    """Embeds texts."""

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """Embeddings [n, dim] of texts, by their numbers int64 [n]."""
        ...


class TextNumbers:
    """Numbers every text through, so that its features are found again."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Number texts in their order, equal ones once."""
        self.numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self.texts = tuple(self.numbers)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of texts, int64 [n]."""
        return np.array([self.numbers[text] for text in texts], dtype=np.int64)


class FixedTexts(nn.Module):
    """Embeddings of texts that nothing changes any more."""

    def __init__(self, embeddings: Tensor) -> None:
        """Take them by number, float32 [texts, dim]."""
        super().__init__()
        self.register_buffer("embeddings", embeddings)

    def forward(self, rows: NDArray[np.int64]) -> Tensor:
        """See `Texts`."""
        return self.get_buffer("embeddings")[torch.from_numpy(rows)]


class ImageLayers(nn.Module):
    """The last layers of the image backbone, over what those below make of each view; batch statistics stay fixed."""

    CHUNK = 32

    def __init__(self, backbone: ImageBackbone, maps: NDArray[np.float16]) -> None:
        """Take the backbone, whose last layers become trainable, and maps [views, images, channels, height, width]."""
        super().__init__()
        self.backbone = backbone.eval().requires_grad_(False)
        self.maps = maps
        for parameter in self.trained_layers():
            parameter.requires_grad_(True)

    def trained_layers(self) -> list[nn.Parameter]:
        """Their parameters."""
        return self.backbone.upper_layers()

    def train(self, mode: bool = True) -> Self:
        """Never in training mode: a batch is too small for statistics of its own."""
        return super().train(False)

    def forward(self, views: NDArray[np.int64], chosen: NDArray[np.int64], frozen: Tensor) -> Tensor:
        """Features [n, width] of pictures, by their views and numbers int64 [n], and what they were untrained.

        Activations are computed again for the gradient, a few pictures at a time, so that batches may be large.

        Source: Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, §3.
        """
        pooled = frozen[:, POOLED_BELOW]
        blocks = []
        for start in range(0, len(chosen), self.CHUNK):
            rows = slice(start, start + self.CHUNK)
            maps = torch.from_numpy(self.maps[views[rows], chosen[rows]].astype(np.float32)).to(frozen.device)
            maps = maps.contiguous(memory_format=torch.channels_last)
            blocks.append(checkpoint(self.backbone.upper, maps, pooled[rows], use_reentrant=False))
        return torch.cat(blocks)


class Trained(nn.Module):
    """What is trained: the image head, the text side and the temperature between them; at the end the backbone's last
    layers.
    """

    def __init__(self, image: ImageHead, text: nn.Module) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.image_layers: ImageLayers | None = None
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_LOGIT_SCALE)))

    def logit_scale(self) -> Tensor:
        """The inverse temperature, exponentiated and clamped, a scalar."""
        return self.log_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    def features(self, views: NDArray[np.int64], chosen: NDArray[np.int64], frozen: Tensor) -> Tensor:
        """What the image head takes [n, width]: the frozen features, or those of the trained layers."""
        return frozen if self.image_layers is None else self.image_layers(views, chosen, frozen)


@dataclass(frozen=True)
class Classifier:
    """The image backbone's own classifier; its features are the first ones of the backbone."""

    weight: Tensor
    bias: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Logarithmic probabilities [n, classes] of backbone features [n, width]."""
        return F.log_softmax(features[:, : self.weight.shape[1]] @ self.weight.T + self.bias, dim=1)


@dataclass(frozen=True)
class Material:
    """What is learned from.

    Attributes:
        views: features of every picture's views, float16 [views, images, width].
        data: which text is true of which picture.
        numbers: of its texts.
        classifier: of the image backbone.
    """

    views: NDArray[np.float16]
    data: TrainingData
    numbers: TextNumbers
    classifier: Classifier


def fit(
    model: Trained,
    material: Material,
    stage: Stage,
    *,
    rng: np.random.Generator,
    after_epoch: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a model in place; the same input and seeds give the same weights on the same machine.

    Args:
        model: on the device to train on; torch's own generator drives dropout and noise.
        material: what is learned from.
        stage: how.
        rng: draws views, captions and batches.
        after_epoch: gets the number of each epoch done and its mean loss.

    Returns:
        The mean loss of each epoch.
    """
    batches = Batches(material, rng, model.log_scale.device)
    captioned = np.concatenate([material.data.captioned(name) for name in CAPTIONED_SETS])
    steps = max(1, len(captioned) // stage.batch)
    optimizer, schedule = _optimizer(model, stage, stage.epochs * steps)
    losses = []
    for epoch in range(stage.epochs):
        model.train()
        total = 0.0
        for chosen in np.array_split(rng.permutation(captioned), steps):
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


def go_back(module: nn.Module, start: Mapping[str, Tensor], *, share: float) -> None:
    """Bring weights part of the way back to what they were before training, in place: what was known is kept better.

    Args:
        module: with the weights after training.
        start: the weights before, by their names in `state_dict`.
        share: how much of the way, 0 to 1.

    Source: Wortsman et al. 2022, Robust Fine-Tuning of Zero-Shot Models, §3.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.lerp_(start[name], share)


def pick(options: Sequence[str], rng: np.random.Generator) -> str:
    """One of them at random."""
    return options[int(rng.integers(len(options)))]


class NamedSet:
    """Pictures with names, and which name is true of which."""

    def __init__(self, pictures: NDArray[np.int64], names: Sequence[Sequence[str]]) -> None:
        """Take the numbers of pictures and the names of each; those without a name are skipped."""
        named = [(number, name) for number, name in zip(pictures, names, strict=True) if name]
        self.pictures = np.array([number for number, _ in named], dtype=np.int64)
        self.names = [name for _, name in named]
        self.phrases = list(dict.fromkeys(phrase for name in self.names for phrase in name))
        self.columns = {phrase: column for column, phrase in enumerate(self.phrases)}
        self.truth = np.zeros((len(named), len(self.phrases)), dtype=bool)
        for row, name in enumerate(self.names):
            self.truth[row, [self.columns[phrase] for phrase in name]] = True

    def draw(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[str], NDArray[np.bool_]]:
        """Pictures [n], one true phrase of each without repeats [m], and which is true of which, boolean [n, m]."""
        rows = rng.permutation(len(self.pictures))[:count]
        drawn = np.unique([self.columns[pick(self.names[row], rng)] for row in rows])
        return self.pictures[rows], [self.phrases[column] for column in drawn], self.truth[np.ix_(rows, drawn)]


def named_sets(data: TrainingData, names: Sequence[Sequence[str]]) -> list[NamedSet]:
    """The groups of `NAMED_SETS` that have pictures, with the names of each picture of the data."""
    groups = [np.concatenate([data.sets[name] for name in group]) for group in NAMED_SETS]
    return [NamedSet(group, [names[number] for number in group]) for group in groups if len(group)]


class Batches:
    """Draws views, captions and phrases."""

    def __init__(self, material: Material, rng: np.random.Generator, device: torch.device) -> None:
        """Bind the data."""
        data = material.data
        self.views = material.views
        self.data = data
        self.numbers = material.numbers
        self.classifier = material.classifier
        self.rng = rng
        self.device = device
        self.named = named_sets(data, data.names)
        self.class_names = [
            (label, f"a photo of a {label}", *others)
            for label, others in zip(data.labels, data.class_names, strict=True)
        ]

    def pictures(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor]:
        """One random view of each picture: its number int64 [n], and its frozen features float32 [n, width]."""
        views = self.rng.integers(len(self.views), size=len(chosen))
        return views, torch.from_numpy(self.views[views, chosen].astype(np.float32)).to(self.device)

    def captions(self, chosen: NDArray[np.int64]) -> list[str]:
        """One random English caption of each picture."""
        return [pick(self.data.captions(number), self.rng) for number in chosen]

    def keyworded(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str], NDArray[np.bool_]]:
        """One keyword of each captioned picture without repeats, and which is true of which.

        Returns:
            Places in `chosen` of the pictures that have keywords [n], keywords [m], boolean [n, m].
        """
        places = np.array([place for place, row in enumerate(chosen) if self.data.spoken[row]], dtype=np.int64)
        drawn = sorted({pick(self.data.spoken[row], self.rng) for row in chosen[places]})
        keyword_sets = [set(self.data.spoken[row]) for row in chosen[places]]
        return places, drawn, np.array([[word in words for word in drawn] for words in keyword_sets])

    def classes(self, count: int) -> tuple[NDArray[np.int64], list[str]]:
        """Some of the classifier's classes, int64 [n] ascending, and a name of each: every other one its label."""
        chosen = np.sort(self.rng.permutation(len(self.class_names))[:count])
        names = [self.class_names[number] for number in chosen]
        return chosen, [pick(own, self.rng) if self.rng.random() < 0.5 else own[0] for own in names]


def _loss(model: Trained, batches: Batches, chosen: NDArray[np.int64], stage: Stage) -> Tensor:
    """CLIP's loss over captioned pictures, its many-to-many form over names and keywords, and the classifier's."""
    named = [group.draw(stage.named_batch, batches.rng) for group in batches.named]
    pictures = np.concatenate([chosen, *(rows for rows, _, _ in named)])
    views, frozen = batches.pictures(pictures)
    images = model.image(model.features(views, pictures, frozen), stage.noise * torch.randn_like(frozen))
    places, keywords, said = batches.keyworded(chosen)
    classes, class_names = batches.classes(stage.classes)
    groups = [batches.captions(chosen), keywords, class_names, *(phrases for _, phrases, _ in named)]
    rows = batches.numbers([text for group in groups for text in group])
    captions, spoken, labels, *phrases = model.text(rows).split([len(group) for group in groups])
    own, *others = images.split([len(chosen), *(len(rows) for rows, _, _ in named)])
    scale = model.logit_scale()
    loss = clip_loss(own, captions, scale)
    for (_, _, fits), pictured, texts in zip(named, others, phrases, strict=True):
        loss = loss + stage.named_weight * matching_loss(pictured, texts, torch.from_numpy(fits).to(own.device), scale)
    if len(places) and stage.keyword_weight:
        spoken_of = own[torch.from_numpy(places).to(own.device)]
        true = torch.from_numpy(said).to(own.device)
        loss = loss + stage.keyword_weight * matching_loss(spoken_of, spoken, true, scale)
    teacher = batches.classifier.predict(frozen)[:, torch.from_numpy(classes)].log_softmax(dim=1)
    return loss + stage.class_weight * _class_loss(images, labels, teacher, scale)


def _class_loss(images: Tensor, classes: Tensor, teacher: Tensor, scale: Tensor) -> Tensor:
    """How far similarities to the names of the classes are from the classifier's predictions.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, §2, at temperature 1.
    """
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(classes, dim=-1).T
    return F.kl_div(logits.log_softmax(dim=1), teacher, log_target=True, reduction="batchmean")


def _optimizer(
    model: Trained, stage: Stage, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    projection = getattr(model.text, "projection", None)
    text_layers: list[nn.Parameter] = getattr(model.text, "trained_layers", list)()
    image_layers = model.image_layers.trained_layers() if model.image_layers is not None else []
    candidates = [
        {"params": list(model.image.parameters()), "lr": stage.head_lr},
        {"params": list(projection.parameters()) if projection is not None else [], "lr": stage.projection_lr},
        {"params": [model.log_scale], "lr": stage.scale_lr, "weight_decay": 0.0},
        {"params": text_layers, "lr": stage.layers_lr},
        {"params": [layer for layer in image_layers if layer.ndim > 1], "lr": stage.layers_lr},
        {"params": [layer for layer in image_layers if layer.ndim == 1], "lr": stage.layers_lr, "weight_decay": 0.0},
    ]
    groups = [group for group in candidates if any(parameter.requires_grad for parameter in group["params"])]  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(groups, weight_decay=stage.weight_decay)
    rates = [float(group["lr"]) for group in groups]  # type: ignore[arg-type]
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.15)
