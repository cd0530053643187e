"""Quantization of the bundled model's image tower: constant paddings, 8-bit convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from torch import Tensor, nn

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models.onnx.sessions import open_session
from clipsearch.training.mini.data import TrainingData
from clipsearch.training.mini.export import export_image_graph
from clipsearch.training.mini.quantize import fix_padding, quantize_image_tower


class Tower(nn.Module):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed pixels uint8 [n, size, size, 3]."""
        return self.conv(pixels.permute(0, 3, 1, 2).float() / 255).mean(dim=(2, 3))


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


def test_a_model_is_not_quantized_twice() -> None:
    no_data = TrainingData((), {}, (), (), (), (), (), ())
    with pytest.raises(ModelError, match="8-bit image tower already"):
        quantize_image_tower(data_dir() / "models" / "mini", no_data)
