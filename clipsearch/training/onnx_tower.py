"""A tower of a compiled model as a torch module that can be trained and written back to its graph.

int8 weights are trained in float32 and quantized again, per channel, when written. Quantization of activations is
simulated in training.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.errors import ModelError
from clipsearch.models.compile.quantization import round_to_int8
from clipsearch.models.onnx.sessions import open_session
from clipsearch.training.onnx_ops import OPERATORS

_HEADS = ("/head/", "/projection/")
"""Beginnings of the names of a head's operations."""

_HEAD_WEIGHTS = "head."
"""Beginning of the names of a head's weights, which operations outside of the module may use."""

_FIXED = "/meanings/"
"""In the names of operations whose weights are what others made, and stay."""

_LAST_CONVOLUTION = re.compile(r"/backbone/(conv_head|bn2)/")
_LAYER = re.compile(r"/(?:bert/layers\.(\d+)|backbone/blocks\.(\d+)/blocks\.\d+\.(\d+))/")
_PRODUCTS = ("Gemm", "MatMul")
"""Operators that multiply by weights, their second input."""

_STATISTICS = ("Sub", "Div")
"""Operators that standardize features; their constants are statistics and are not trained."""


@dataclass(frozen=True)
class Rounded:
    """A quantized weight: the names of its codes and scales, and the axis of the scales."""

    codes: str
    scale: str
    axis: int


@dataclass(frozen=True)
class Node:
    """An operation of a graph."""

    name: str
    op_type: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    attributes: Mapping[str, Any]


class OnnxTower(nn.Module):
    """One tower.

    Attributes:
        path: the graph.
        inputs: names of what it takes.
        weights: the trainable values by their names in the graph.
    """

    def __init__(self, path: Path, *, head_dropout: float = 0.0) -> None:
        """Read a graph.

        Args:
            path: of the graph.
            head_dropout: dropout before each layer of the head.

        Raises:
            ModelError: the graph is damaged or has an unsupported operator.
        """
        super().__init__()
        self.path = path
        self._head_dropout = head_dropout
        try:
            self._model: Any = onnx.load(path)
        except Exception as error:  # protobuf's exceptions have no common base class
            raise ModelError(f"cannot read {path} for training; it may be damaged") from error
        graph = self._model.graph
        unknown = {node.op_type for node in graph.node} - {*OPERATORS, "Constant", "DequantizeLinear"}
        if unknown:
            raise ModelError(f"{path} cannot be trained: unsupported operators {', '.join(sorted(unknown))}")
        self.inputs = [item.name for item in graph.input]
        self._output = graph.output[0].name
        self._all_nodes = [_node(node) for node in graph.node]
        self._values = {item.name: torch.from_numpy(_array(item)) for item in graph.initializer}
        for node in self._all_nodes:
            if node.op_type == "Constant":
                self._values[node.output[0]] = torch.from_numpy(_array(node.attributes["value"]))
        self._rounded: dict[str, Rounded] = {}
        self._nodes = [node for node in self._all_nodes if node.op_type != "Constant" and not self._fold(node)]
        self._head = _downstream(self._nodes)
        self._head_outputs = {name for node in self._head for name in node.output}
        self._floats = {name for name, value in self._values.items() if value.is_floating_point()}
        trainable = self._trainable()
        self.weights = nn.ParameterDict({_key(name): nn.Parameter(self._values.pop(name)) for name in trainable})
        self._names = {name: _key(name) for name in trainable}

    def forward(self, *inputs: Tensor) -> Tensor:
        """Embeddings [n, dim] of the graph's inputs, not normalized."""
        return self._run(dict(zip(self.inputs, inputs, strict=True)), self._nodes)

    def head(self, features: Tensor) -> Tensor:
        """Embeddings [n, dim] of `features`."""
        parts = torch.split(features, self._widths, dim=1) if len(self.boundaries) > 1 else (features,)
        return self._run(dict(zip(self.boundaries, parts, strict=True)), self._head)

    def features(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Input features of the head side by side, [n, width], by ONNX Runtime, for training only the head."""
        features = self._session.run(list(self.boundaries), dict(inputs))
        return np.concatenate([np.asarray(part, dtype=np.float32) for part in features], axis=1)

    @cached_property
    def boundaries(self) -> tuple[str, ...]:
        """Names of the head's inputs."""
        outputs = {name for node in self._nodes for name in node.output} - self._head_outputs
        inputs = dict.fromkeys(name for node in self._head for name in node.input if name in outputs)
        if not inputs:
            raise ModelError(f"{self.path} has no head that can be trained alone; see --train")
        return tuple(inputs)

    @cached_property
    def _widths(self) -> list[int]:
        """Widths of the head's inputs."""
        tokens = {name: np.ones((1, 2), np.int64) for name in self.inputs}
        return [part.shape[1] for part in self._session.run(list(self.boundaries), tokens)]

    def unlock(self, layers: int | None) -> None:
        """Unlock the head and the last `layers` layers; ``None`` for all layers."""
        groups = {name: self._group(name) for name in self._names}
        order = sorted(set(groups.values()))
        chosen = set(order if layers is None else order[-1 - layers :])
        for name, key in self._names.items():
            self.weights[key].requires_grad_(groups[name] in chosen)

    @torch.no_grad()
    def rescale(self) -> None:
        """Scale the last layer's weights to the usual standard deviation; only the embeddings' lengths change.

        Lengths are irrelevant, but AdamW's steps do not depend on the size of the weights, which may be 0.0002.

        Source: LeCun et al. 1998, Efficient BackProp, §4.6 (deviation of the weights from the number of inputs).
        """
        operations = {name: node for node in self._nodes for name in node.output}
        last = operations[self._output]
        product = operations.get(last.input[0], last) if last.op_type == "Add" else last
        if product.op_type not in _PRODUCTS or product.input[1] not in self._names:  # the last operation has no weights
            return
        matrix = self.weights[self._names[product.input[1]]]
        factor = (matrix.shape[1 if product.attributes.get("transB") else 0] * matrix.square().mean()).rsqrt()
        for name in {*product.input[1:], *last.input[1:]} & self._names.keys():
            self.weights[self._names[name]].mul_(factor)

    def write(self, target: Path) -> None:
        """Write the graph with the current weights; locked ones are copied unchanged."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        stored = {item.name: item for item in model.graph.initializer}
        trained = [name for name, key in self._names.items() if self.weights[key].requires_grad]
        for name in sorted(trained, key=lambda name: self.weights[self._names[name]].ndim, reverse=True):
            values = (
                self.weights[self._names[name]].detach().cpu().numpy()
            )  # biases last: their scales depend on the weights'
            rounded = self._rounded.get(name)
            if rounded is None:
                _replace(stored[name], values)
            elif stored[rounded.codes].data_type == onnx.TensorProto.INT32:
                self._write_bias(name, values, stored)
            else:
                codes, scale = round_to_int8(values, axis=rounded.axis)
                _replace(stored[rounded.codes], codes)
                _replace(stored[rounded.scale], scale.reshape(tuple(stored[rounded.scale].dims)))
        onnx.save(model, target)

    def _write_bias(self, name: str, values: NDArray[np.float32], stored: Mapping[str, Any]) -> None:
        """Write a convolution's bias, whose scale is the product of the scales of inputs and weights."""
        node = next(node for node in self._nodes if name in node.input)
        pixels = next(other for other in self._all_nodes if node.input[0] in other.output)
        scale = _array(stored[pixels.input[1]]) * _array(stored[self._rounded[node.input[1]].scale])
        limit = np.iinfo(np.int32)
        codes = np.clip(np.round(values / scale.astype(np.float64)), limit.min, limit.max).astype(np.int32)
        _replace(stored[self._rounded[name].codes], codes)
        _replace(stored[self._rounded[name].scale], scale.astype(np.float32))

    def _run(self, values: dict[str, Tensor], nodes: Sequence[Node]) -> Tensor:
        device = next(iter(values.values())).device
        for node in nodes:
            inputs = [self._value(name, values, device) if name else None for name in node.input]
            if self.training and self._head_dropout and self._is_head_layer(node):
                assert inputs[0] is not None
                inputs[0] = F.dropout(inputs[0], self._head_dropout)
            if node.op_type == "DequantizeLinear":
                (values[node.output[0]],) = inputs[:1]  # type: ignore[assignment]  # done by `quantize`
            else:
                result = OPERATORS[node.op_type](inputs, node.attributes)
                values.update(zip(node.output, result if isinstance(result, tuple) else (result,), strict=True))
        return values[self._output]

    def _is_head_layer(self, node: Node) -> bool:
        return node.op_type in _PRODUCTS and node.input[1] in self._names and node.output[0] in self._head_outputs

    def _value(self, name: str, values: Mapping[str, Tensor], device: torch.device) -> Tensor:
        if name in values:
            return values[name]
        if name in self._names:
            weight: Tensor = self.weights[self._names[name]]
            return weight
        if name in self._floats and self._values[name].device != device:
            self._values[name] = self._values[name].to(device)
        return self._values[name]

    def _fold(self, node: Node) -> bool:
        """Replace dequantized weights by float32 values; returns whether the node is no longer needed."""
        if node.op_type != "DequantizeLinear":
            return False
        axis = node.attributes.get("axis", 1)
        if node.input[0] in self._values:
            self._values[node.output[0]] = self._restored(node.input[0], node, axis)
            self._rounded[node.output[0]] = Rounded(node.input[0], node.input[1], axis)
            return True
        source = next(other for other in self._all_nodes if node.input[0] in other.output)
        if source.op_type == "Gather":  # int8 rows, scaled afterwards
            table = source.input[0]
            self._values[table] = self._restored(table, node, axis)
            self._rounded[table] = Rounded(table, node.input[1], axis % 2)
        return False

    def _restored(self, codes: str, node: Node, axis: int) -> Tensor:
        scale = self._values[node.input[1]]
        zero = self._values[node.input[2]] if len(node.input) > 2 else torch.zeros_like(scale)
        shape = [1] * self._values[codes].ndim
        if scale.ndim:
            shape[axis] = -1
        offset = self._values[codes].to(torch.float32) - zero.to(torch.float32).reshape(shape)
        return offset * scale.reshape(shape)

    def _trainable(self) -> list[str]:
        """Names of the float32 weights, in the order of the graph."""
        names: dict[str, None] = {}
        for node in self._nodes:
            if node.op_type in ("DequantizeLinear", "QuantizeLinear", *_STATISTICS) or _FIXED in node.name:
                continue
            for name in node.input:
                if name in self._floats and self._values[name].ndim:
                    names[name] = None
        return list(names)

    def _group(self, name: str) -> tuple[int, int, int]:
        """Position in the order of layers: the stem, the layers, the head."""
        node = next(node for node in self._nodes if name in node.input)
        if node.output[0] in self._head_outputs:
            return 2, 0, 0
        if (place := _layer_place(node)) is not None:
            return place
        if _LAST_CONVOLUTION.search(node.name):  # belongs to the last layer, like a transformer's last normalization
            return max(place for other in self._nodes if (place := _layer_place(other)) is not None)
        return 0, 0, 0

    @cached_property
    def _session(self) -> Any:
        trunk = onnx.ModelProto()
        trunk.CopyFrom(self._model)
        del trunk.graph.output[:]  # ONNX Runtime drops nodes that the new output does not need
        for name in self.boundaries:
            trunk.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(trunk, Path(folder) / "trunk.onnx")
            return open_session(Path(folder) / "trunk.onnx")


def _layer_place(node: Node) -> tuple[int, int, int] | None:
    match = _LAYER.search(node.name)
    return None if match is None else (1, int(match[1] or match[2]), int(match[3] or 0))


def _downstream(nodes: Sequence[Node]) -> list[Node]:
    """The operations of the head, and all that need their results."""
    reached: set[str] = set()
    downstream = []
    for node in nodes:  # in topological order
        is_head = node.name.startswith(_HEADS) or any(name.startswith(_HEAD_WEIGHTS) for name in node.input)
        if is_head or not reached.isdisjoint(node.input):
            downstream.append(node)
            reached.update(node.output)
    return downstream


def _node(node: Any) -> Node:
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return Node(node.name, node.op_type, tuple(node.input), tuple(node.output), attributes)


def _array(tensor: Any) -> NDArray[Any]:
    return np.array(numpy_helper.to_array(tensor))  # a writable copy


def _replace(tensor: Any, values: NDArray[Any]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def _key(name: str) -> str:
    return name.replace(".", "__").replace("/", "_").replace(":", "_")
