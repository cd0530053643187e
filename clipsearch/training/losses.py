"""Contrastive losses of embeddings, normalized or not."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def clip_loss(images: Tensor, texts: Tensor, logit_scale: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy, with matching rows.

    Args:
        images: image embeddings [batch, dim].
        texts: text embeddings [batch, dim].
        logit_scale: the exponentiated inverse temperature, a scalar.

    Returns:
        The mean of the image-to-text and the text-to-image cross-entropy, a scalar.

    Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, §2.3, Fig. 3.
    """
    return symmetric_cross_entropy(cosine_logits(images, texts, logit_scale))


def cosine_logits(images: Tensor, texts: Tensor, logit_scale: Tensor) -> Tensor:
    """CLIP's logits [n, m] of embeddings [n, dim] and [m, dim]."""
    return logit_scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T


def symmetric_cross_entropy(logits: Tensor) -> Tensor:
    """The loss of logits [batch, batch] with the matches on the diagonal; see `clip_loss`."""
    diagonal = logits.diagonal()
    image_to_text = (logits.logsumexp(dim=1) - diagonal).mean()
    text_to_image = (logits.logsumexp(dim=0) - diagonal).mean()
    return (image_to_text + text_to_image) / 2


def matching_loss(images: Tensor, phrases: Tensor, truth: Tensor, logit_scale: Tensor) -> Tensor:
    """`clip_loss` with many-to-many matches ("a dog" and "a husky").

    Args:
        images: image embeddings [n, dim].
        phrases: text embeddings [m, dim].
        truth: boolean [n, m], which phrases match which images; at least one per row and column.
        logit_scale: the exponentiated inverse temperature, a scalar.

    Returns:
        The mean of both directions' cross-entropy against the uniform distribution over the matches.

    Source: Khosla et al. 2020, Supervised Contrastive Learning, eq. 2 (the sum outside the logarithm).
    """
    logits = cosine_logits(images, phrases, logit_scale)  # [n, m]
    weights = truth.to(logits.dtype)
    by_image = -(logits.log_softmax(dim=1) * weights).sum(dim=1) / weights.sum(dim=1)
    by_phrase = -(logits.log_softmax(dim=0) * weights).sum(dim=0) / weights.sum(dim=0)
    return (by_image.mean() + by_phrase.mean()) / 2
