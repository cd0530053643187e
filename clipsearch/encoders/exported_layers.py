"""Layers of open_clip's transformers in a form that runs faster once it is exported.

PyTorch's attention turns the batch around eight times in every layer, and cuts the picture into patches by a
convolution, which an 8-bit graph leaves in float32. Both are written here as the fewest matrix products and
transpositions; the weights and the results are the same. A ViT-B/32 in int8 gains a fifth to a third.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import MethodType
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

SMALLEST_PATCH = 8
"""Pixels each way; what cuts finer than transformers do is of a network of convolutions, which 8 bits suit as it is."""


@contextlib.contextmanager
def exported_layers(model: nn.Module) -> Iterator[None]:
    """Let the layers that are known calculate in that form, in this block."""
    changed = [layer for layer in model.modules() if _form_of(layer) is not None]
    for layer in changed:
        layer.forward = MethodType(_form_of(layer), layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward  # the class's own is seen again


def _form_of(layer: nn.Module) -> Any:
    """The function that stands in for a layer's ``forward``; ``None`` for layers that stay as they are."""
    if isinstance(layer, nn.MultiheadAttention):
        is_plain = layer.batch_first and layer.in_proj_bias is not None and layer.bias_k is None
        return self_attention if is_plain and not layer.add_zero_attn else None
    if isinstance(layer, nn.Conv2d):
        is_patching = layer.kernel_size == layer.stride and min(layer.kernel_size) >= SMALLEST_PATCH
        is_plain = layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1
        return patch_embedding if is_patching and is_plain else None
    return None


def self_attention(
    layer: nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """What `torch.nn.MultiheadAttention` gives for a sequence that attends to itself.

    Args:
        layer: whose weights.
        query: float [n, length, width].
        key: the same tensor; another is attended to by PyTorch's own function.
        value: the same tensor.
        need_weights: as for PyTorch's; they are not given here.
        attn_mask: float [length, length], added to the scores.

    Returns:
        float [n, length, width], and ``None`` for the weights.

    Source: Vaswani et al. 2017, Attention Is All You Need, §3.2.
    """
    if key is not query or value is not query:
        own = nn.MultiheadAttention.forward
        return own(layer, query, key, value, need_weights=need_weights, attn_mask=attn_mask)
    count, length, width = query.shape
    heads, each = layer.num_heads, layer.head_dim
    joined = functional.linear(query, layer.in_proj_weight, layer.in_proj_bias)
    split = joined.reshape(count, length, 3, heads, each).permute(2, 0, 3, 1, 4)  # one transposition for all three
    queries, keys, values = split[0], split[1], split[2]
    scores = (queries * each**-0.5) @ keys.transpose(-1, -2)
    if attn_mask is not None:
        scores = scores + attn_mask
    mixed = scores.softmax(dim=-1) @ values  # [n, heads, length, each]
    return layer.out_proj(mixed.transpose(1, 2).reshape(count, length, width)), None


def patch_embedding(layer: nn.Conv2d, pictures: Tensor) -> Tensor:
    """What a convolution whose squares do not overlap gives, as one matrix product.

    Args:
        layer: whose weights; stride as large as the kernel, no padding.
        pictures: float [n, channels, h, w]; what is left over at the right and below counts as in a convolution: not.

    Returns:
        float [n, out channels, h // kernel, w // kernel].
    """
    count, channels = pictures.shape[:2]
    high, wide = layer.kernel_size
    rows, columns = pictures.shape[2] // high, pictures.shape[3] // wide
    whole = pictures[:, :, : rows * high, : columns * wide]
    squares = whole.reshape(count, channels, rows, high, columns, wide).permute(0, 2, 4, 1, 3, 5)
    flat = squares.reshape(count, rows * columns, channels * high * wide)
    embedded = functional.linear(flat, layer.weight.reshape(layer.out_channels, -1), layer.bias)
    return embedded.permute(0, 2, 1).reshape(count, layer.out_channels, rows, columns)
