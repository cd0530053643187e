"""One step: CLIP's loss over all pairs of a batch, in one go or, for batches that memory cannot hold, in two passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from clipsearch.training.losses import clip_loss
from clipsearch.training.trainee import Trainee

Pair = tuple[Tensor, tuple[Tensor, ...]]
"""What a model takes of some pictures and of one caption of each."""

Scale = Callable[[Tensor], Tensor]
"""Multiplies a loss before its gradients are taken, as fp16 needs."""


def contrastive_step(
    trainee: Trainee,
    chunks: Sequence[Pair],
    *,
    seed: Sequence[int],
    autocast: Callable[[], torch.autocast],
    scale: Scale = lambda loss: loss,
) -> float:
    """Add to the gradients of every trained weight those of the loss over all chunks together.

    Every picture is contrasted with the captions of all chunks. One chunk is run once. Of several, embeddings are
    calculated without gradients first, then the loss and its gradients by embedding, then each chunk again, through
    which its own are handed on: the gradients are those of the whole batch, in the memory of one chunk.

    Args:
        trainee: in training.
        chunks: the batch in parts that fit into memory.
        seed: of what the model draws (dropout); each chunk has its own, the same in both passes.
        autocast: makes the context in which the model runs.
        scale: of the loss, before gradients.

    Returns:
        The loss, unscaled.

    Source: Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, §3 (GradCache).
    """
    if len(chunks) == 1:
        seed_all(seed, 0)
        with autocast():
            images, texts = trainee(*chunks[0])
        loss = clip_loss(images.float(), texts.float(), trainee.logit_scale())
        scale(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
    cached = []
    for number, chunk in enumerate(chunks):
        seed_all(seed, number)
        with torch.no_grad(), autocast():
            cached.append(trainee(*chunk))
    all_images = torch.cat([images.float() for images, _ in cached]).requires_grad_()
    all_texts = torch.cat([texts.float() for _, texts in cached]).requires_grad_()
    loss = clip_loss(all_images, all_texts, trainee.logit_scale())
    scale(loss).backward()  # type: ignore[no-untyped-call]  # the temperature's gradient is whole already
    sizes = [len(images) for images, _ in cached]
    by_images, by_texts = (torch.split(_gradient(leaf), sizes) for leaf in (all_images, all_texts))
    for number, (chunk, of_images, of_texts) in enumerate(zip(chunks, by_images, by_texts, strict=True)):
        seed_all(seed, number)
        with autocast():
            images, texts = trainee(*chunk)
        handed = (images.float() * of_images).sum() + (texts.float() * of_texts).sum()
        if handed.requires_grad:
            handed.backward()
    return float(loss.detach())


def seed_all(seed: Sequence[int], chunk: int) -> None:
    """Seed torch's generators for one chunk of one step."""
    torch.manual_seed(int(np.random.SeedSequence([*seed, chunk]).generate_state(1, np.uint32)[0]))


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad
