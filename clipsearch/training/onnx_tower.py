"""A tower of a compiled model as a torch module: run, trained, and written back into the same graph.

Weights that the graph holds as int8 are trained in float32 and rounded again, each channel to a scale of its own, when
they are written; activations that the graph rounds are rounded here as well, so that training meets what will run.
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
from clipsearch.models.onnx.sessions import open_session
from clipsearch.training.int8_weights import round_to_int8
from clipsearch.training.onnx_ops import OPERATORS

_HEADS = ("/head/", "/projection/")
_LAST_CONVOLUTION = re.compile(r"/backbone/(conv_head|bn2)/")
_LAYER = re.compile(r"/(?:bert/layers\.(\d+)|backbone/blocks\.(\d+)/blocks\.\d+\.(\d+))/")
_STATISTICS = ("Sub", "Div")
"""What standardises features is taken by these; it was measured, not trained."""


@dataclass(frozen=True)
class Rounded:
    """How a graph holds a weight in whole numbers: the names of these and of their scales, and the scales' axis."""

    codes: str
    scale: str
    axis: int


@dataclass(frozen=True)
class Node:
    """One operation of a graph."""

    name: str
    op_type: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    attributes: Mapping[str, Any]


class OnnxTower(nn.Module):
    """One tower.

    Attributes:
        path: the graph.
        weights: the trainable values by their names in the graph.
    """

    def __init__(self, path: Path, *, head_dropout: float = 0.0) -> None:
        """Read a graph.

        Args:
            path: of the graph.
            head_dropout: share of what each layer of the head takes that is left out at random in training.

        Raises:
            ModelError: it is damaged, or holds an operator that training does not know.
        """
        super().__init__()
        self.path = path
        self._head_dropout = head_dropout
        try:
            self._model: Any = onnx.load(path)
        except Exception as error:  # onnx raises protobuf's errors, which have no common base
            raise ModelError(f"{path} cannot be read for training: its file may be damaged") from error
        graph = self._model.graph
        unknown = {node.op_type for node in graph.node} - {*OPERATORS, "Constant", "DequantizeLinear"}
        if unknown:
            raise ModelError(f"{path} cannot be trained: it holds {', '.join(sorted(unknown))}")
        self._inputs = [item.name for item in graph.input]
        self._output = graph.output[0].name
        self._all_nodes = [_node(node) for node in graph.node]
        self._values = {item.name: torch.from_numpy(_array(item)) for item in graph.initializer}
        for node in self._all_nodes:
            if node.op_type == "Constant":
                self._values[node.output[0]] = torch.from_numpy(_array(node.attributes["value"]))
        self._rounded: dict[str, Rounded] = {}
        self._nodes = [node for node in self._all_nodes if node.op_type != "Constant" and not self._fold(node)]
        self._floats = {name for name, value in self._values.items() if value.is_floating_point()}
        trainable = self._trainable()
        self.weights = nn.ParameterDict({_key(name): nn.Parameter(self._values.pop(name)) for name in trainable})
        self._names = {name: _key(name) for name in trainable}

    def forward(self, *inputs: Tensor) -> Tensor:
        """Embeddings [n, dim] of the graph's own inputs, not normalised."""
        return self._run(dict(zip(self._inputs, inputs, strict=True)), self._nodes)

    def head(self, features: Tensor) -> Tensor:
        """Embeddings [n, dim] of what `features` gives."""
        return self._run({self.boundary: features}, [node for node in self._nodes if _is_head(node)])

    def features(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """What the head takes, [n, width], by ONNX Runtime: for training the head alone."""
        (features,) = self._session.run([self.boundary], dict(inputs))
        return np.asarray(features, dtype=np.float32)

    @cached_property
    def boundary(self) -> str:
        """Name of the value that the head takes from the rest."""
        made = {name for node in self._nodes if not _is_head(node) for name in node.output}
        taken = {name for node in self._nodes if _is_head(node) for name in node.input} & made
        if len(taken) != 1:
            raise ModelError(f"{self.path} has no head that could be trained by itself; see --train")
        return taken.pop()

    def unlock(self, layers: int | None) -> None:
        """Let the head be trained, and as many of the last layers; ``None`` for everything."""
        groups = {name: self._group(name) for name in self._names}
        order = sorted(set(groups.values()))
        chosen = set(order if layers is None else order[-1 - layers :])
        for name, key in self._names.items():
            self.weights[key].requires_grad_(groups[name] in chosen)

    @torch.no_grad()
    def rescale(self) -> None:
        """Bring the last layer's weights to the size that layers of its width start with; only lengths change.

        Lengths of embeddings mean nothing, but an optimizer's steps are as large for weights of 0.0002 as for others.

        Source: LeCun et al. 1998, Efficient BackProp, §4.6 (deviation of the weights from the number of inputs).
        """
        last = next(node for node in self._nodes if self._output in node.output)
        weights = [self.weights[self._names[name]] for name in last.input[1:] if name in self._names]
        matrix = weights[0]
        factor = (matrix.shape[1 if last.attributes.get("transB") else 0] * matrix.square().mean()).rsqrt()
        for weight in weights:
            weight.mul_(factor)

    def write(self, target: Path) -> None:
        """Write the graph with the weights as they are now; those that are not trained stay as they were."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        stored = {item.name: item for item in model.graph.initializer}
        trained = [name for name, key in self._names.items() if self.weights[key].requires_grad]
        for name in sorted(trained, key=lambda name: self.weights[self._names[name]].ndim, reverse=True):
            values = self.weights[self._names[name]].detach().cpu().numpy()  # biases last: theirs follow from weights
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
        """A convolution's bias counts in products of the scales of its pixels and weights."""
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
            if node.op_type == "Gemm" and self.training and self._head_dropout and _is_head(node):
                assert inputs[0] is not None
                inputs[0] = F.dropout(inputs[0], self._head_dropout)
            if node.op_type == "DequantizeLinear":
                (values[node.output[0]],) = inputs[:1]  # type: ignore[assignment]  # `quantize` has done it
            else:
                values[node.output[0]] = OPERATORS[node.op_type](inputs, node.attributes)
        return values[self._output]

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
        """Make what a node dequantizes a value in float32; whether that leaves nothing to run."""
        if node.op_type != "DequantizeLinear":
            return False
        axis = node.attributes.get("axis", 1)
        if node.input[0] in self._values:
            self._values[node.output[0]] = self._restored(node.input[0], node, axis)
            self._rounded[node.output[0]] = Rounded(node.input[0], node.input[1], axis)
            return True
        source = next(other for other in self._all_nodes if node.input[0] in other.output)
        if source.op_type == "Gather":  # of int8 rows, scaled afterwards
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
        """Names of the values in float32 that are weights, in the order of the graph."""
        found: dict[str, None] = {}
        for node in self._nodes:
            if node.op_type in ("DequantizeLinear", "QuantizeLinear", *_STATISTICS):
                continue
            for name in node.input:
                if name in self._floats and self._values[name].ndim:
                    found[name] = None
        return list(found)

    def _group(self, name: str) -> tuple[int, int, int]:
        """A place in the order of layers: what comes first, the layers, the head."""
        node = next(node for node in self._nodes if name in node.input)
        layer = _LAYER.search(node.name)
        if _is_head(node):
            return 2, 0, 0
        if layer is not None:
            return 1, int(layer[1] or layer[2]), int(layer[3] or 0)
        if _LAST_CONVOLUTION.search(node.name):  # with the last layer, as a transformer's last normalization is
            return max(place for other in self._nodes if (place := _layer_place(other)) is not None)
        return 0, 0, 0

    @cached_property
    def _session(self) -> Any:
        trunk = onnx.ModelProto()
        trunk.CopyFrom(self._model)
        del trunk.graph.output[:]  # what leads to the boundary alone is run
        trunk.graph.output.append(helper.make_tensor_value_info(self.boundary, onnx.TensorProto.FLOAT, None))
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(trunk, Path(folder) / "trunk.onnx")
            return open_session(Path(folder) / "trunk.onnx")


def _layer_place(node: Node) -> tuple[int, int, int] | None:
    found = _LAYER.search(node.name)
    return None if found is None else (1, int(found[1] or found[2]), int(found[3] or 0))


def _is_head(node: Node) -> bool:
    return str(node.name).startswith(_HEADS)


def _node(node: Any) -> Node:
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return Node(node.name, node.op_type, tuple(node.input), tuple(node.output), attributes)


def _array(tensor: Any) -> NDArray[Any]:
    return np.array(numpy_helper.to_array(tensor))  # a copy, which torch may write to


def _replace(tensor: Any, values: NDArray[Any]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def _key(name: str) -> str:
    return name.replace(".", "__").replace("/", "_").replace(":", "_")
