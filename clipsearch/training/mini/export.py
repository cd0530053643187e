"""Both towers as ONNX graphs under the contract of `clipsearch.models.manifest`."""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper, numpy_helper
from tokenizers import Tokenizer
from torch import nn

from clipsearch.models.compile.quantization import round_to_int8

OPSET = 17
_SMALL = 4096  # weights with fewer numbers stay float32: there is nothing to gain


def open_session(path: Path) -> Any:
    """An ONNX Runtime session on the CPU."""
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def export_image_graph(tower: nn.Module, path: Path, size: int) -> None:
    """Write a module that takes pixels uint8 [n, size, size, 3] as ONNX with a free batch size."""
    pixels = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    _export(tower, (pixels,), path, inputs={"pixels": {0: "n"}}, output="image_embeddings")


def export_text_graph(tower: nn.Module, path: Path) -> None:
    """Write a module that takes ids and mask int64 [n, t] of two tokenizers as ONNX with free sizes."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    others = torch.ones(2, 9, dtype=torch.int64)
    inputs = {
        "input_ids": {0: "n", 1: "t"},
        "attention_mask": {0: "n", 1: "t"},
        "input_ids_2": {0: "n", 1: "t2"},
        "attention_mask_2": {0: "n", 1: "t2"},
    }
    example = (ids, torch.ones_like(ids), others, torch.ones_like(others))
    _export(tower, example, path, inputs=inputs, output="text_embeddings")


def _export(
    tower: nn.Module, example: tuple[torch.Tensor, ...], path: Path, *, inputs: dict[str, dict[int, str]], output: str
) -> None:
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but it needs no further package and its graphs are the plainest.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tower.eval().cpu(),
            example,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={**inputs, output: {0: "n"}},
        )


def quantize_weights(source: Path, target: Path) -> None:
    """Write a graph with its large weights as int8, one scale per output channel, and float32 arithmetic.

    Only the weights are rounded: activations stay float32, so that embeddings hardly change and are the same on
    processors with and without int8 instructions. Embedding tables are looked up first and scaled afterwards.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §2, for weights only and symmetric.
    """
    model = onnx.load(source)
    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    nodes = []
    for node in graph.node:
        place = {"MatMul": 1, "Gemm": 1, "Gather": 0}.get(node.op_type)
        name = node.input[place] if place is not None and len(node.input) > 1 else ""
        if name not in weights or not _is_large_matrix(weights[name]):
            nodes.append(node)
            continue
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        _store_as_int8(graph, weights.pop(name), axis=0 if transposed else 1)
        if node.op_type == "Gather":
            looked_up = f"{node.output[0]}_int8"
            scaled = _dequantize(name, looked_up, node.output[0], axis=-1)
            node.input[0], node.output[0] = f"{name}_int8", looked_up
            nodes += [node, scaled]
        else:
            nodes += [_dequantize(name, f"{name}_int8", name, axis=0 if transposed else 1), node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def split_layers(graph: Path) -> None:
    """Make a product and a sum of every linear layer with int8 weights, and turn its weights to [in, out].

    ONNX Runtime multiplies by int8 weights in `MatMul` alone; for a `Gemm` it converts them to float32 in every run.
    """
    model = onnx.load(graph)
    weights = {item.name: item for item in model.graph.initializer}
    scaled = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    nodes = []
    for node in model.graph.node:
        source = scaled.get(node.input[1]) if node.op_type == "Gemm" else None
        if source is None or source.input[0] not in weights:
            nodes.append(node)
            continue
        if any(item.name == "transB" and item.i for item in node.attribute):
            codes = weights[source.input[0]]
            turned = numpy_helper.to_array(codes).T
            codes.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), codes.name))
            (axis,) = (item for item in source.attribute if item.name == "axis")
            axis.i = 1
        product, name = f"{node.output[0]}_product", node.name.removesuffix("Gemm")
        nodes.append(helper.make_node("MatMul", node.input[:2], [product], f"{name}MatMul"))
        nodes.append(helper.make_node("Add", [product, node.input[2]], node.output, f"{name}Add"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, graph)


def _is_large_matrix(weight: Any) -> bool:
    is_float = weight.data_type == onnx.TensorProto.FLOAT
    return is_float and len(weight.dims) == 2 and min(weight.dims) > 1 and math.prod(weight.dims) >= _SMALL


def _store_as_int8(graph: Any, weight: Any, *, axis: int) -> None:
    """Replace a two-dimensional initializer by its int8 form and a scale per index of `axis`."""
    rounded, scale = round_to_int8(numpy_helper.to_array(weight), axis=axis)
    graph.initializer.remove(weight)
    graph.initializer.append(numpy_helper.from_array(rounded, f"{weight.name}_int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{weight.name}_scale"))


def _dequantize(name: str, quantized: str, output: str, *, axis: int) -> Any:
    return helper.make_node("DequantizeLinear", [quantized, f"{name}_scale"], [output], f"{name}_scaled", axis=axis)


def export_towers(image_tower: nn.Module, text_tower: nn.Module, output: Path, size: int) -> None:
    """Write `image.onnx` (its convolutions fp32) and `text.onnx` into `output`, the weights of all else as int8.

    The layers of the image tower are split later, after its convolutions are quantized (`mini.quantize`).
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        export_image_graph(image_tower, scratch / "image.onnx", size)
        export_text_graph(text_tower, scratch / "text.onnx")
        for name in ("image.onnx", "text.onnx"):
            quantize_weights(scratch / name, output / name)
    split_layers(output / "text.onnx")


def load_tokenizer(path: Path, context_length: int) -> Tokenizer:
    """Read a `tokenizer.json`, cut at `context_length` tokens and pad to the longest text of a batch."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=context_length)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer
