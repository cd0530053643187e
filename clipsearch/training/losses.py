"""The contrastive losses of training; each works on embeddings that need not be normalised."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def clip_loss(images: Tensor, texts: Tensor, logit_scale: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy: row i of one side belongs to row i of the other.

    Args:
        images: image embeddings [batch, dim].
        texts: text embeddings [batch, dim].
        logit_scale: the inverse temperature, already exponentiated; a scalar.

    Returns:
        The mean of the image-to-text and the text-to-image cross-entropy, a scalar.

    Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, §2.3, Fig. 3.
    """
    logits = logit_scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T  # [batch, batch]
    diagonal = logits.diagonal()
    image_to_text = (logits.logsumexp(dim=1) - diagonal).mean()
    text_to_image = (logits.logsumexp(dim=0) - diagonal).mean()
    return (image_to_text + text_to_image) / 2


def matching_loss(images: Tensor, phrases: Tensor, truth: Tensor, logit_scale: Tensor) -> Tensor:
    """`clip_loss` where a phrase fits several images and an image several phrases ("a dog", "a husky").

    Args:
        images: image embeddings [n, dim].
        phrases: text embeddings [m, dim].
        truth: boolean [n, m], which phrase is true of which image; every row and column has one at least.
        logit_scale: the inverse temperature, already exponentiated; a scalar.

    Returns:
        The mean of both directions' cross-entropy against the uniform distribution over what is true.

    Source: Khosla et al. 2020, Supervised Contrastive Learning, eq. 2 (the sum outside the logarithm).
    """
    logits = logit_scale * F.normalize(images, dim=-1) @ F.normalize(phrases, dim=-1).T  # [n, m]
    weights = truth.to(logits.dtype)
    by_image = -(logits.log_softmax(dim=1) * weights).sum(dim=1) / weights.sum(dim=1)
    by_phrase = -(logits.log_softmax(dim=0) * weights).sum(dim=0) / weights.sum(dim=0)
    return (by_image.mean() + by_phrase.mean()) / 2
