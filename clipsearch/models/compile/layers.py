"""Equivalent forms of open_clip's transformer layers that export to faster ONNX graphs.

PyTorch's attention exports with eight transpositions per layer; it is replaced by ONNX's attention operator. The patch
embedding is a convolution, which dynamic quantization leaves in float32; it is replaced by a matrix product. The last
block of a vision transformer computes only the class token where only that is used. A text tower whose tokens see only
those before them computes no padding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

from open_clip.model import CLIP, CustomTextCLIP
from open_clip.transformer import ResidualAttentionBlock, TextTransformer, VisionTransformer, text_global_pool
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx import ops

from clipsearch.models.torch.towers import TextTower

SMALLEST_PATCH = 8
"""Smallest patch side of vision transformers in pixels; smaller strides belong to convolutional networks."""


@contextlib.contextmanager
def exported_layers(model: nn.Module) -> Iterator[None]:
    """Context in which the known layers use these forms."""
    with contextlib.ExitStack() as changes:
        for layer in list(model.modules()):
            if isinstance(layer, nn.MultiheadAttention) and _is_plain_attention(layer):
                changes.enter_context(_replaced_forward(layer, MethodType(self_attention, layer)))
            elif isinstance(layer, nn.Conv2d) and _cuts_patches(layer):
                layer.patches = PatchEmbedding(layer)  # registered, so that the exporter finds its weights
                changes.callback(delattr, layer, "patches")
                changes.enter_context(_replaced_forward(layer, layer.patches.__call__))
            elif isinstance(layer, VisionTransformer) and (block := _block_for_first_token(layer)) is not None:
                block.first_token = FirstTokenBlock(block)
                changes.callback(delattr, block, "first_token")
                changes.enter_context(_replaced_forward(block, MethodType(_first_token, block)))
        yield


class UnpaddedTextTower(TextTower):
    """A text tower for texts of any length up to the context length, without padding after the end token."""

    def __init__(self, tower: TextTower, end_id: int | None) -> None:
        """Use the weights of a tower that `unpadded` accepts."""
        super().__init__(tower.model, separator_id=tower.separator_id)
        self.transformer = tower.model.text if isinstance(tower.model, CustomTextCLIP) else tower.model
        self.end_id = end_id

    def embed(self, input_ids: Tensor) -> Tensor:
        """int64 [n, t] → float [n, dim]."""
        text, length = self.transformer, input_ids.shape[1]
        rows = text.token_embedding(input_ids) + text.positional_embedding[:length]
        rows = text.ln_final(text.transformer(rows, attn_mask=text.attn_mask[:length, :length]))
        pool = "argmax" if self.end_id is None else "eos"
        pooled: Tensor = text_global_pool(rows, input_ids, pool, eos_token_id=self.end_id)
        projection = text.text_projection
        if projection is None:
            return pooled
        embeddings: Tensor = projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
        return embeddings


def unpadded(tower: TextTower) -> UnpaddedTextTower | None:
    """The tower without padding; ``None`` if what follows the end token changes the embedding."""
    model = tower.model
    if type(model) is CLIP:
        mask, pool, end_id = model.attn_mask, model.text_pool_type, getattr(model, "text_eos_id", None)
    elif type(model) is CustomTextCLIP and type(model.text) is TextTransformer:
        text = model.text
        if text.cls_emb is not None or getattr(text, "use_pad_mask", False):
            return None
        mask, pool, end_id = text.attn_mask, text.pool_type, getattr(text, "eos_id", None)
    else:
        return None
    if mask is None or pool not in ("argmax", "eos"):
        return None
    return UnpaddedTextTower(tower, end_id if pool == "eos" else None)


def _first_token(block: ResidualAttentionBlock, rows: Tensor, *, attn_mask: None = None) -> Tensor:
    """`FirstTokenBlock` as the ``forward`` of an unmasked block."""
    first: Tensor = block.first_token(block, rows)
    return first


def _block_for_first_token(transformer: VisionTransformer) -> ResidualAttentionBlock | None:
    """The last block, if only the first token of its output is used."""
    blocks = getattr(transformer.transformer, "resblocks", None)
    if not blocks or transformer.attn_pool is not None or transformer.pool_type != "tok" or transformer.output_tokens:
        return None
    last = blocks[-1]
    is_plain = type(last) is ResidualAttentionBlock and _is_plain_attention(last.attn)
    return last if is_plain and transformer.transformer.batch_first else None


def _is_plain_attention(layer: nn.MultiheadAttention) -> bool:
    is_plain = layer.in_proj_bias is not None and layer.bias_k is None and not layer.add_zero_attn
    return is_plain and layer.batch_first


def _cuts_patches(layer: nn.Conv2d) -> bool:
    is_patching = layer.kernel_size == layer.stride and min(layer.kernel_size) >= SMALLEST_PATCH
    return is_patching and layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1


@contextlib.contextmanager
def _replaced_forward(layer: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Context in which a layer has another ``forward``."""
    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward  # restores the class's


def self_attention(
    layer: nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """`torch.nn.MultiheadAttention.forward` for self-attention; cross-attention is left to PyTorch.

    Args:
        layer: the layer.
        query: float [n, length, width].
        key: the same tensor for self-attention.
        value: the same tensor for self-attention.
        need_weights: ignored for self-attention.
        attn_mask: float [length, length], added to the scores.

    Returns:
        float [n, length, width], and ``None`` instead of the attention weights.
    """
    if key is not query or value is not query:
        forward = nn.MultiheadAttention.forward
        return forward(layer, query, key, value, need_weights=need_weights, attn_mask=attn_mask)
    joined = functional.linear(query, layer.in_proj_weight, layer.in_proj_bias)
    queries, keys, values = joined.tensor_split(3, dim=-1)
    return layer.out_proj(_attend(queries, keys, values, heads=layer.num_heads, mask=attn_mask)), None


def _attend(queries: Tensor, keys: Tensor, values: Tensor, *, heads: int, mask: Tensor | None = None) -> Tensor:
    """ONNX's attention operator; all float [n, length, width].

    Source: Vaswani et al. 2017, Attention Is All You Need, §3.2;
    https://onnx.ai/onnx/operators/onnx__Attention.html (opset 23).
    """
    attended: Tensor = ops.attention(queries, keys, values, mask, q_num_heads=heads, kv_num_heads=heads)[0]
    return attended


class FirstTokenBlock(nn.Module):
    """A `ResidualAttentionBlock` that computes only the first token of its output."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        """Use the weights of a block that `_block_for_first_token` returned."""
        super().__init__()
        self.width, self.heads = block.attn.embed_dim, block.attn.num_heads
        self.query = _linear(block.attn, slice(None, self.width))
        self.keys_and_values = _linear(block.attn, slice(self.width, None))

    def forward(self, block: ResidualAttentionBlock, rows: Tensor) -> Tensor:
        """float [n, length, width] → float [n, 1, width]."""
        normed = block.ln_1(rows)
        joined: Tensor = self.keys_and_values(normed)
        keys, values = joined.tensor_split(2, dim=-1)
        attended = _attend(self.query(normed[:, :1]), keys, values, heads=self.heads)
        first = rows[:, :1] + block.ls_1(block.attn.out_proj(attended))
        out: Tensor = first + block.ls_2(block.mlp(block.ln_2(first)))
        return out


def _linear(layer: nn.MultiheadAttention, part: slice) -> nn.Linear:
    """A part of the input projection as a separate layer, because the quantizer does not follow slices."""
    weight = layer.in_proj_weight.detach()[part]
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight = nn.Parameter(weight)
    linear.bias = nn.Parameter(layer.in_proj_bias.detach()[part])
    return linear


class PatchEmbedding(nn.Module):
    """A convolution with non-overlapping patches as one matrix product."""

    def __init__(self, layer: nn.Conv2d) -> None:
        """Use the weights of a convolution that `_cuts_patches` accepts."""
        super().__init__()
        self.high, self.wide = layer.kernel_size
        # reshaped here, because the quantizer does not follow a reshape
        self.matrix = nn.Linear(
            layer.in_channels * self.high * self.wide, layer.out_channels, bias=layer.bias is not None
        )
        self.matrix.weight = nn.Parameter(layer.weight.detach().reshape(layer.out_channels, -1))
        if layer.bias is not None:
            self.matrix.bias = nn.Parameter(layer.bias.detach())

    def forward(self, images: Tensor) -> Tensor:
        """Embed the patches.

        Args:
            images: float [n, channels, h, w]; incomplete patches at the right and bottom are ignored.

        Returns:
            float [n, out channels, h // kernel, w // kernel].
        """
        count, channels = images.shape[:2]
        rows, columns = images.shape[2] // self.high, images.shape[3] // self.wide
        whole = images[:, :, : rows * self.high, : columns * self.wide]
        patches = whole.reshape(count, channels, rows, self.high, columns, self.wide).permute(0, 2, 4, 1, 3, 5)
        embedded: Tensor = self.matrix(patches.reshape(count, rows * columns, -1))
        return embedded.permute(0, 2, 1).reshape(count, -1, rows, columns)
