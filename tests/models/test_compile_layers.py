"""The layers for export equal PyTorch's and export to fewer operations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from clipsearch.models.compile.layers import exported_layers, unpadded
from clipsearch.models.torch.towers import TextTower
from tests.tiny_models import TEXT, exported_tower


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
        assert torch.allclose(model(given, given, mask), expected, atol=1e-5)
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


def test_a_transformer_exports_with_few_transpositions(tmp_path_factory: pytest.TempPathFactory) -> None:
    base: Path = tmp_path_factory.getbasetemp()
    nodes = onnx.load(exported_tower(base, "clip", "image.onnx"), load_external_data=False).graph.node
    kinds = Counter(node.op_type for node in nodes)
    assert kinds["Attention"] > 0 and kinds["Softmax"] == kinds["Conv"] == 0
    assert kinds["Transpose"] <= 6  # PyTorch's attention has eight per layer


def vision_transformer(**options: Any) -> VisionTransformer:
    torch.manual_seed(0)
    made = VisionTransformer(image_size=32, patch_size=8, width=24, layers=2, heads=3, mlp_ratio=2, **options)
    for block in made.transformer.resblocks:  # the initial zeros would hide a mistake
        nn.init.normal_(block.attn.in_proj_bias)
    return made.eval()


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.5}, {"final_ln_after_pool": True}], ids=str)
@torch.inference_mode()
def test_only_the_first_token_of_the_last_block_is_calculated(options: dict[str, Any]) -> None:
    model = vision_transformer(**options)
    pictures = torch.randn(3, 3, 32, 32)
    expected = model(pictures)
    lengths: list[int] = []
    model.transformer.resblocks[-1].mlp.register_forward_hook(lambda _, given, __: lengths.append(given[0].shape[1]))
    with exported_layers(model):
        assert torch.allclose(model(pictures), expected, atol=1e-5)
    assert lengths == [1]
    assert torch.equal(model(pictures), expected) and lengths == [1, 17]
    assert not any("first_token" in name for name, _ in model.named_modules())


@pytest.mark.parametrize(
    "options", [{"pool_type": "avg"}, {"output_tokens": True}, {"attentional_pool": True}], ids=str
)
@torch.inference_mode()
def test_all_tokens_are_calculated_where_more_than_the_first_is_used(options: dict[str, Any]) -> None:
    model = vision_transformer(**options)
    pictures = torch.randn(3, 3, 32, 32)
    expected = model(pictures)
    with exported_layers(model):
        found = model(pictures)
    for one, other in zip(*((item if isinstance(item, tuple) else (item,)) for item in (found, expected)), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


VISION = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 32}
END = 49407


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (CLIP, {}),
        (CLIP, {"pool_type": "eos", "eos_id": END}),
        (CustomTextCLIP, {"proj_bias": True}),
        (CustomTextCLIP, {"pool_type": "eos", "eos_id": END, "proj_type": "none", "width": 32}),
    ],
    ids=str,
)
@torch.inference_mode()
def test_a_text_without_padding_is_embedded_as_with_it(kind: Any, text: dict[str, Any]) -> None:
    torch.manual_seed(0)
    tower = TextTower(kind(embed_dim=32, vision_cfg=VISION, text_cfg={**TEXT, **text}))
    ids = torch.zeros((3, 77), dtype=torch.int64)
    for row, length in enumerate((2, 5, 9)):
        ids[row, :length] = torch.randint(1, END, (length,))
        ids[row, length - 1] = END
    short = unpadded(tower)
    assert short is not None
    for given in (ids[:, :9], ids[:, :30], ids):
        assert torch.allclose(short(given), tower(ids), atol=1e-5)
    assert torch.allclose(short(ids[:1, :2]), tower(ids[:1]), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (CLIP, {"no_causal_mask": True}),
        (CLIP, {"pool_type": "last"}),
        (CustomTextCLIP, {"embed_cls": True}),
        (CustomTextCLIP, {"pool_type": "first"}),
    ],
    ids=str,
)
def test_a_text_tower_that_reads_its_padding_keeps_it(kind: Any, text: dict[str, Any]) -> None:
    assert unpadded(TextTower(kind(embed_dim=32, vision_cfg=VISION, text_cfg={**TEXT, **text}))) is None
