"""Layers written for export give what PyTorch's own give, and export into fewer operations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from clipsearch.encoders.exported_layers import exported_layers
from tests.tiny_models import exported_tower


class Attending(nn.Module):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 3, **options)

    def forward(self, rows: Tensor, others: Tensor, mask: Tensor | None) -> Tensor:
        attended: Tensor = self.attention(rows, others, others, need_weights=False, attn_mask=mask)[0]
        return attended


def rows(count: int, length: int) -> Tensor:
    return torch.randn(count, length, 24, generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("options", [{"batch_first": True}, {"batch_first": True, "bias": False}, {}], ids=str)
@torch.inference_mode()
def test_attention_is_pytorchs(options: dict[str, bool], masked: bool) -> None:
    torch.manual_seed(0)
    model = Attending(**options).eval()
    given, mask = rows(5, 7), None
    if masked:
        mask = torch.full((given.shape[0 if not options else 1],) * 2, float("-inf")).triu(1)
    expected = model(given, given, mask)
    with exported_layers(model):
        assert torch.allclose(model(given, given, mask), expected, atol=1e-6)
    assert "forward" not in vars(model.attention)


@torch.inference_mode()
def test_attention_to_another_sequence_is_left_to_pytorch() -> None:
    torch.manual_seed(0)
    model = Attending(batch_first=True).eval()
    expected = model(rows(2, 3), rows(2, 5), None)
    with exported_layers(model):
        assert torch.equal(model(rows(2, 3), rows(2, 5), None), expected)


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (30, 17)])
@pytest.mark.parametrize("bias", [False, True])
@torch.inference_mode()
def test_patches_are_the_convolutions(size: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 10, 8, stride=8, bias=bias)
    pictures = torch.randn(2, 3, *size)
    expected = layer(pictures)
    with exported_layers(layer):
        assert "forward" in vars(layer)
        assert torch.allclose(layer(pictures), expected, atol=1e-5)
    assert "forward" not in vars(layer) and not list(layer.children())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 8, stride=4),
        nn.Conv2d(3, 4, 8, stride=8, padding=1),
        nn.Conv2d(4, 4, 8, stride=8, groups=2),
        nn.Conv2d(3, 4, 2, stride=2),
    ],
    ids=str,
)
def test_other_convolutions_stay(layer: nn.Conv2d) -> None:
    with exported_layers(layer):
        assert "forward" not in vars(layer)


def test_a_transformer_exports_without_needless_turning(tmp_path_factory: pytest.TempPathFactory) -> None:
    base: Path = tmp_path_factory.getbasetemp()
    nodes = onnx.load(exported_tower(base, "clip", "image.onnx"), load_external_data=False).graph.node
    kinds = Counter(node.op_type for node in nodes)
    layers = kinds["Softmax"]
    assert layers > 0 and kinds["Conv"] == 0
    assert kinds["Transpose"] <= 3 * layers + 6  # PyTorch's own takes eight a layer
