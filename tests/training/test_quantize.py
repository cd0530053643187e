"""Quantization of the bundled model's image tower: constant paddings, 8-bit convolutions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models.onnx.sessions import open_session, save_optimized
from clipsearch.training.mini.data import TrainingData
from clipsearch.training.mini.export import export_image_graph, quantize_weights, split_layers
from clipsearch.training.mini.quantize import fix_padding, quantize_image_tower

MINI = data_dir() / "models" / "mini"


class Tower(nn.Module):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed pixels uint8 [n, size, size, 3]."""
        return self.conv(pixels.permute(0, 3, 1, 2).float() / 255).mean(dim=(2, 3))


class Layer(nn.Module):
    """One linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(300, 64)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed pixels uint8 [n, 10, 10, 3]."""
        return self.linear(pixels.float().flatten(1) / 255)


def test_constant_paddings_have_the_same_outputs(tmp_path: Path) -> None:
    source, target = tmp_path / "image.onnx", tmp_path / "fixed.onnx"
    export_image_graph(Tower(), source, 10)
    model = onnx.load(source)
    (convolution,) = (node for node in model.graph.node if node.op_type == "Conv")
    more = np.array([0, 0, 0, 0, 0, 0, 1, 1], np.float32)  # a row and a column at the end
    model.graph.initializer.append(numpy_helper.from_array(more, "amounts"))
    place = list(model.graph.node).index(convolution)
    model.graph.node.insert(place, helper.make_node("Cast", ["amounts"], ["pads"], to=onnx.TensorProto.INT64))
    model.graph.node.insert(place + 1, helper.make_node("Pad", [convolution.input[0], "pads"], ["padded"]))
    (convolution,) = (node for node in model.graph.node if node.op_type == "Conv")
    convolution.input[0] = "padded"
    onnx.save(model, source)
    fix_padding(source, target, 10)
    fixed = onnx.load(target)
    assert not {"Pad", "amounts"} & {*(n.op_type for n in fixed.graph.node), *(i.name for i in fixed.graph.initializer)}
    pixels = np.random.default_rng(0).integers(0, 256, (3, 10, 10, 3), dtype=np.uint8)
    rows = [open_session(path).run(None, {"pixels": pixels})[0] for path in (source, target)]
    assert rows[0] == pytest.approx(rows[1], abs=1e-6)


def outputs(graph: Path, pixels: np.ndarray) -> np.ndarray:
    """Of a graph as it is written, without optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(graph), options).run(None, {"pixels": pixels})[0]


def test_split_layers_have_the_same_outputs(tmp_path: Path) -> None:
    layer = Layer()
    export_image_graph(layer, tmp_path / "float.onnx", 10)
    graph = tmp_path / "int8.onnx"
    quantize_weights(tmp_path / "float.onnx", graph)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 10, 10, 3), dtype=np.uint8)
    before = outputs(graph, pixels)
    split_layers(graph)
    assert [node.op_type for node in onnx.load(graph).graph.node][-3:] == ["DequantizeLinear", "MatMul", "Add"]
    assert outputs(graph, pixels) == pytest.approx(before, abs=1e-5)
    assert before == pytest.approx(layer(torch.from_numpy(pixels)).detach().numpy(), abs=0.01)


@pytest.mark.parametrize("tower", ["image", "text"])
def test_the_bundled_towers_never_convert_their_weights_in_a_run(tower: str, tmp_path: Path) -> None:
    prepared = tmp_path / f"{tower}.onnx"
    save_optimized(MINI / f"{tower}.onnx", prepared)
    graph = onnx.load(prepared, load_external_data=False).graph
    large = {item.name for item in graph.initializer if math.prod(item.dims) >= 2**18}
    products = [node for node in graph.node if node.op_type == "MatMulNBits"]
    assert products and not [n.name for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in large]


def test_a_model_is_not_quantized_twice() -> None:
    no_data = TrainingData((), {}, (), (), (), (), (), ())
    with pytest.raises(ModelError, match="8-bit image tower already"):
        quantize_image_tower(MINI, no_data)
