"""Training of a temporal head on embedded clips, by the loop of `clipsearch.training.loop`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clipsearch.evaluation.clips import EmbeddedClips
from clipsearch.models.torch.encoder import pick_device
from clipsearch.models.video_heads import HeadType, pad_frames
from clipsearch.training.checkpoint import RunState
from clipsearch.training.loop import Loop
from clipsearch.training.report import ProgressCallback
from clipsearch.training.settings import TrainSettings
from clipsearch.training.trainee import ContrastiveModel
from clipsearch.training.video.heads import SequentialHead, TightHead, make_head

LEARNING_RATE = 5e-4
"""Five times that of the new layers in CLIP4Clip (§4.2): the model below them is frozen."""

MOST_TIGHT_VALIDATION_CLIPS = 200
"""The tight head scores every pair of a caption and a clip, which is slow."""

_ORDER, _CAPTION = 4, 5
"""Random streams; `clipsearch.training.inputs` and `clipsearch.training.loop` have the others."""

_PAIRS_AT_ONCE = 4096
_CHUNK = 256


class HeadTrainee(ContrastiveModel):
    """A head in training, with the temperature of a frozen model.

    The logits of a sequential head are scaled cosines; those of a tight head are its scores (CLIP4Clip §3.3).
    """

    def __init__(self, head: SequentialHead | TightHead, logit_scale: float) -> None:
        super().__init__()
        self.head = head
        self.log_scale = nn.Parameter(torch.tensor(math.log(logit_scale)))

    def embed_images(self, inputs: Tensor) -> Tensor:
        """Embeddings [n, dim] of frames [n, frames, dim]; the frames themselves for a tight head."""
        inputs = inputs.to(self.device)
        embeddings: Tensor = self.head(inputs) if isinstance(self.head, SequentialHead) else inputs
        return embeddings

    def embed_texts(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """The embeddings, which are the inputs."""
        return inputs[0].to(self.device)

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Logits [n, m]."""
        if isinstance(self.head, SequentialHead):
            return super().logits(images, texts)
        blocks = []
        for block in torch.split(images, max(1, _PAIRS_AT_ONCE // len(texts))):
            scores = self.head(texts.repeat(len(block), 1), block.repeat_interleave(len(texts), dim=0))
            blocks.append(scores.view(len(block), len(texts)))
        return torch.cat(blocks)


class ClipInputs:
    """Embedded clips and captions as inputs of a head; see `clipsearch.training.inputs.PairInputs`."""

    def __init__(self, clips: EmbeddedClips, *, seed: int) -> None:
        self._clips, self._seed = clips, seed
        self.owners = clips.owners
        self._counts = np.bincount(clips.owners, minlength=len(clips))
        self._first = np.concatenate([[0], self._counts.cumsum()[:-1]])

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._clips)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """See `PairInputs.order`; the clips of a video stay together, because they are the hardest to tell apart."""
        rng = np.random.default_rng([self._seed, _ORDER, epoch])
        shuffled = rng.permutation(len(self))
        places = rng.permutation(int(self._clips.videos.max()) + 1)
        return shuffled[np.argsort(places[self._clips.videos[shuffled]], kind="stable")]

    def batches(self, chunks: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """See `PairInputs.batches`."""
        captions = self._first + np.random.default_rng([self._seed, _CAPTION, epoch]).integers(self._counts)
        for rows in chunks:
            frames = pad_frames([self._clips.frames[row] for row in rows])
            yield torch.from_numpy(frames), (torch.from_numpy(self._clips.texts[captions[rows]]),)

    def all_images(self) -> Iterator[Tensor]:
        """See `PairInputs.all_images`."""
        return iter(torch.split(torch.from_numpy(pad_frames(self._clips.frames)), _CHUNK))

    def all_texts(self) -> Iterator[tuple[Tensor, ...]]:
        """See `PairInputs.all_texts`."""
        return ((block,) for block in torch.split(torch.from_numpy(self._clips.texts), _CHUNK))


def fit_head(
    kind: HeadType,
    clips: EmbeddedClips,
    validation: EmbeddedClips | None,
    settings: TrainSettings,
    *,
    logit_scale: float,
    identity: str = "",
    state: RunState | None = None,
    progress: ProgressCallback | None = None,
) -> SequentialHead | TightHead:
    """Train a head.

    Args:
        kind: the type of the head.
        clips: training clips, at least two.
        validation: held-out clips, which choose the epoch.
        settings: of these, the numbers and the output folder are used.
        logit_scale: the model's inverse temperature.
        identity: identity of the run in checkpoints.
        state: checkpoint to resume from.
        progress: callback for progress.

    Returns:
        The head of the best epoch.
    """
    torch.manual_seed(settings.seed)
    trainee = HeadTrainee(make_head(kind, clips.texts.shape[1]), logit_scale).to(pick_device(settings.device))
    if kind == "tight" and validation is not None:
        validation = validation.take(np.arange(min(len(validation), MOST_TIGHT_VALIDATION_CLIPS)))
    held_out = None if validation is None else ClipInputs(validation, seed=settings.seed)
    settings.work.mkdir(parents=True, exist_ok=True)
    loop = Loop(
        trainee,
        ClipInputs(clips, seed=settings.seed),
        held_out,
        settings,
        state=state or RunState(),
        identity=identity,
        progress=progress or (lambda step: None),
    )
    loop.run()
    trainee.restore(loop.state.best)
    trainee.eval()
    return trainee.head


def export_head(head: SequentialHead | TightHead, dim: int, path: Path) -> None:
    """Write a head as ONNX; see `clipsearch.models.video_heads` for its inputs and outputs."""
    frames = torch.zeros(2, 3, dim)
    frames[:, :2, 0] = 1.0
    inputs = {"frames": frames}
    output = "embedding"
    if isinstance(head, TightHead):
        inputs = {"text": torch.ones(2, dim), **inputs}
        output = "score"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as for the towers: the TorchScript exporter is deprecated
        torch.onnx.export(
            head.eval().cpu(),
            tuple(inputs.values()),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={**{name: {0: "n"} for name in (*inputs, output)}, "frames": {0: "n", 1: "frames"}},
        )
