"""Layers of open_clip's transformers in a form that runs faster once it is exported.

PyTorch's attention turns the batch around eight times in every layer, and cuts the picture into patches by a
convolution, which an 8-bit graph leaves in float32. The first becomes ONNX's own operator, the second a matrix product.
And the last layer of a vision transformer, of which only the first token is looked at, calculates no other. The weights
and the results are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional
from torch.onnx import ops

SMALLEST_PATCH = 8
"""Pixels each way; what cuts finer than transformers do is of a network of convolutions, which 8 bits suit as it is."""


@contextlib.contextmanager
def exported_layers(model: nn.Module) -> Iterator[None]:
    """Let the layers that are known calculate in that form, in this block."""
    with contextlib.ExitStack() as changes:
        for layer in list(model.modules()):
            if isinstance(layer, nn.MultiheadAttention) and _is_plain_attention(layer):
                changes.enter_context(_calculating(layer, MethodType(self_attention, layer)))
            elif isinstance(layer, nn.Conv2d) and _cuts_patches(layer):
                layer.patches = PatchEmbedding(layer)  # its weights are to be found in the model
                changes.callback(delattr, layer, "patches")
                changes.enter_context(_calculating(layer, layer.patches.__call__))
            elif isinstance(layer, VisionTransformer) and (block := _block_for_first_token(layer)) is not None:
                block.first_token = FirstTokenBlock(block)
                changes.callback(delattr, block, "first_token")
                changes.enter_context(_calculating(block, MethodType(_first_token, block)))
        yield


def _first_token(block: ResidualAttentionBlock, rows: Tensor, *, attn_mask: None = None) -> Tensor:
    """In place of a block's ``forward`` where nothing is masked."""
    found: Tensor = block.first_token(block, rows)
    return found


def _block_for_first_token(transformer: VisionTransformer) -> ResidualAttentionBlock | None:
    """The last block, if all that is made of what it gives is the embedding of the first token."""
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
def _calculating(layer: nn.Module, form: Callable[..., Any]) -> Iterator[None]:
    """Let a layer's ``forward`` be another function."""
    layer.forward = form
    try:
        yield
    finally:
        del layer.forward  # the class's own is seen again


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
    """
    if key is not query or value is not query:
        own = nn.MultiheadAttention.forward
        return own(layer, query, key, value, need_weights=need_weights, attn_mask=attn_mask)
    joined = functional.linear(query, layer.in_proj_weight, layer.in_proj_bias)
    queries, keys, values = joined.tensor_split(3, dim=-1)
    return layer.out_proj(_attend(queries, keys, values, heads=layer.num_heads, mask=attn_mask)), None


def _attend(queries: Tensor, keys: Tensor, values: Tensor, *, heads: int, mask: Tensor | None = None) -> Tensor:
    """ONNX's operator: float [n, length, width] of each; float [n, length of the queries, width].

    Source: Vaswani et al. 2017, Attention Is All You Need, §3.2;
    https://onnx.ai/onnx/operators/onnx__Attention.html (opset 23).
    """
    attended: Tensor = ops.attention(queries, keys, values, mask, q_num_heads=heads, kv_num_heads=heads)[0]
    return attended


class FirstTokenBlock(nn.Module):
    """The first token of what a `ResidualAttentionBlock` gives, which attends to all."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        """Take a block's weights; `exported_layers` says which blocks can be taken."""
        super().__init__()
        self.width, self.heads = block.attn.embed_dim, block.attn.num_heads
        self.query = _linear(block.attn, slice(None, self.width))
        self.keys_and_values = _linear(block.attn, slice(self.width, None))

    def forward(self, block: ResidualAttentionBlock, rows: Tensor) -> Tensor:
        """Float [n, 1, width] for float [n, length, width]."""
        normed = block.ln_1(rows)
        joined: Tensor = self.keys_and_values(normed)
        keys, values = joined.tensor_split(2, dim=-1)
        attended = _attend(self.query(normed[:, :1]), keys, values, heads=self.heads)
        first = rows[:, :1] + block.ls_1(block.attn.out_proj(attended))
        found: Tensor = first + block.ls_2(block.mlp(block.ln_2(first)))
        return found


def _linear(layer: nn.MultiheadAttention, part: slice) -> nn.Linear:
    """A part of what makes queries, keys and values, as a layer of its own: the quantizer sees through no slices."""
    weight = layer.in_proj_weight.detach()[part]
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight = nn.Parameter(weight)
    linear.bias = nn.Parameter(layer.in_proj_bias.detach()[part])
    return linear


class PatchEmbedding(nn.Module):
    """What a convolution whose squares do not overlap gives, as one matrix product."""

    def __init__(self, layer: nn.Conv2d) -> None:
        """Take a convolution's weights; its stride is as large as its kernel, and it does not pad."""
        super().__init__()
        self.high, self.wide = layer.kernel_size
        # a matrix from the start, as the quantizer does not see through a change of shape
        self.matrix = nn.Linear(
            layer.in_channels * self.high * self.wide, layer.out_channels, bias=layer.bias is not None
        )
        self.matrix.weight = nn.Parameter(layer.weight.detach().reshape(layer.out_channels, -1))
        if layer.bias is not None:
            self.matrix.bias = nn.Parameter(layer.bias.detach())

    def forward(self, pictures: Tensor) -> Tensor:
        """Embed the squares.

        Args:
            pictures: float [n, channels, h, w]; what is left over at the right and below does not count.

        Returns:
            float [n, out channels, h // kernel, w // kernel].
        """
        count, channels = pictures.shape[:2]
        rows, columns = pictures.shape[2] // self.high, pictures.shape[3] // self.wide
        whole = pictures[:, :, : rows * self.high, : columns * self.wide]
        squares = whole.reshape(count, channels, rows, self.high, columns, self.wide).permute(0, 2, 4, 1, 3, 5)
        embedded: Tensor = self.matrix(squares.reshape(count, rows * columns, -1))
        return embedded.permute(0, 2, 1).reshape(count, -1, rows, columns)
