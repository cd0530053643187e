"""A training step: the symmetric cross-entropy of a batch, with gradient caching for batches larger than the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from clipsearch.training.losses import symmetric_cross_entropy
from clipsearch.training.trainee import ContrastiveModel

Pair = tuple[Tensor, tuple[Tensor, ...]]
"""Model inputs of images and of one caption each."""

Scale = Callable[[Tensor], Tensor]
"""Scales a loss before the backward pass, as required by fp16."""


def contrastive_step(
    trainee: ContrastiveModel,
    chunks: Sequence[Pair],
    *,
    seed: Sequence[int],
    autocast: Callable[[], torch.autocast],
    scale: Scale = lambda loss: loss,
) -> float:
    """Accumulate the gradients of the loss over all chunks as one batch.

    With several chunks, embeddings are computed without gradients first, then the loss and its gradients with respect
    to the embeddings, then each chunk again to backpropagate them: the gradients of the whole batch in the memory of
    one chunk.

    Args:
        trainee: the model.
        chunks: parts of the batch that fit into memory.
        seed: seed of dropout; each chunk has its own, the same in both passes.
        autocast: makes the autocast context.
        scale: scales the loss before the backward pass.

    Returns:
        The loss, unscaled.

    Source: Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, §3 (GradCache).
    """
    if len(chunks) == 1:
        seed_all(seed, 0)
        with autocast():
            images, texts = trainee(*chunks[0])
        loss = symmetric_cross_entropy(trainee.logits(images.float(), texts.float()))
        scale(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
    cached = []
    for number, chunk in enumerate(chunks):
        seed_all(seed, number)
        with torch.no_grad(), autocast():
            cached.append(trainee(*chunk))
    all_images = torch.cat([images.float() for images, _ in cached]).requires_grad_()
    all_texts = torch.cat([texts.float() for _, texts in cached]).requires_grad_()
    loss = symmetric_cross_entropy(trainee.logits(all_images, all_texts))
    scale(loss).backward()  # type: ignore[no-untyped-call]  # the temperature's gradient is complete
    sizes = [len(images) for images, _ in cached]
    by_images, by_texts = (torch.split(_gradient(leaf), sizes) for leaf in (all_images, all_texts))
    for number, (chunk, of_images, of_texts) in enumerate(zip(chunks, by_images, by_texts, strict=True)):
        seed_all(seed, number)
        with autocast():
            images, texts = trainee(*chunk)
        surrogate = (images.float() * of_images).sum() + (texts.float() * of_texts).sum()
        if surrogate.requires_grad:
            surrogate.backward()
    return float(loss.detach())


def seed_all(seed: Sequence[int], chunk: int) -> None:
    """Seed torch's generators for a chunk of a step."""
    torch.manual_seed(int(np.random.SeedSequence([*seed, chunk]).generate_state(1, np.uint32)[0]))


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad
