"""ONNX operators in torch, for training the weights of compiled models.

Source: ONNX operator specifications, opset 17.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Tensor | None], Attributes], Tensor | tuple[Tensor, ...]]

_TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
"""Data types by their ONNX numbers."""


def conv(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """2-D convolution with asymmetric padding."""
    pixels, weight, bias = (*inputs, None)[:3]
    assert pixels is not None and weight is not None
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if any((top, left, bottom, right)):
        pixels = F.pad(pixels, (left, right, top, bottom))
    strides, dilations = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    return F.conv2d(pixels, weight, bias, tuple(strides), 0, tuple(dilations), attributes.get("group", 1))


def gemm(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """A matrix product plus a bias."""
    left, right, bias = (*inputs, None)[:3]
    assert left is not None and right is not None
    left = left.T if attributes.get("transA") else left
    right = right.T if attributes.get("transB") else right
    product = attributes.get("alpha", 1.0) * (left @ right)
    sum_: Tensor = product if bias is None else product + attributes.get("beta", 1.0) * bias
    return sum_


def layer_normalization(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Layer normalization over the last axis."""
    hidden, scale, bias = (*inputs, None)[:3]
    assert hidden is not None and scale is not None
    return F.layer_norm(hidden, scale.shape, scale, bias, attributes.get("epsilon", 1e-5))


def quantize(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Simulated 8-bit quantization, with straight-through gradients inside the range.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks, §3 (simulated quantization).
    """
    values, scale, zero = inputs
    assert values is not None and scale is not None and zero is not None
    low, high = (0, 255) if zero.dtype == torch.uint8 else (-128, 127)
    return torch.fake_quantize_per_tensor_affine(values, scale, zero.to(torch.int32), low, high)


def gather(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Rows of an embedding table, or entries of a shape."""
    values, places = inputs
    assert values is not None and places is not None
    axis = attributes.get("axis", 0)
    selected = values.index_select(axis, places.reshape(-1).to(values.device))
    return selected.reshape([*values.shape[:axis], *places.shape, *values.shape[axis + 1 :]])


def slice_(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Slices along axes."""
    values, starts, ends, axes, steps = (*inputs, None, None)[:5]
    assert values is not None and starts is not None and ends is not None
    axis_list = range(len(starts)) if axes is None else axes.tolist()
    step_list = [1] * len(starts) if steps is None else steps.tolist()
    index = [slice(None)] * values.ndim
    for axis, start, end, step in zip(axis_list, starts.tolist(), ends.tolist(), step_list, strict=True):
        index[axis] = slice(start, end, step)
    return values[tuple(index)]


def split(inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Tensor, ...]:
    """Parts of these lengths along an axis."""
    values, lengths = inputs
    assert values is not None and lengths is not None
    return torch.split(values, lengths.tolist(), dim=attributes.get("axis", 0))


def reshape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Reshape; 0 keeps a dimension."""
    values, shape = inputs
    assert values is not None and shape is not None
    return values.reshape([values.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())])


def unsqueeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """New axes of length 1."""
    values, axes = inputs
    assert values is not None and axes is not None
    for axis in sorted(axis % (values.ndim + len(axes)) for axis in axes.tolist()):
        values = values.unsqueeze(axis)
    return values


def divide(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Division; integers round towards zero."""
    left, right = inputs
    assert left is not None and right is not None
    is_integer = not left.is_floating_point() and not right.is_floating_point()
    return torch.div(left, right, rounding_mode="trunc" if is_integer else None)


def _over_axes(reduce: Callable[..., Tensor]) -> Operator:
    def run(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
        values, axes = (*inputs, None)[:2]
        assert values is not None
        dims = attributes["axes"] if axes is None else axes.tolist()
        return reduce(values, dim=tuple(dims), keepdim=bool(attributes.get("keepdims", 1)))

    return run


def _plain(function: Callable[..., Tensor]) -> Operator:
    return lambda inputs, attributes: function(*inputs)


OPERATORS: Mapping[str, Operator] = {
    "Add": _plain(torch.add),
    "Cast": lambda inputs, attributes: inputs[0].to(_TYPES[attributes["to"]]),  # type: ignore[union-attr]
    "Concat": lambda inputs, attributes: torch.cat(list(inputs), dim=attributes["axis"]),  # type: ignore[arg-type]
    "Conv": conv,
    "Div": divide,
    "Erf": _plain(torch.erf),
    "Gather": gather,
    "Gemm": gemm,
    "LayerNormalization": layer_normalization,
    "MatMul": _plain(torch.matmul),
    "Mod": _plain(torch.remainder),
    "Mul": _plain(torch.mul),
    "Pow": _plain(torch.pow),
    "QuantizeLinear": quantize,
    "ReduceMax": _over_axes(torch.amax),
    "ReduceMean": _over_axes(torch.mean),
    "ReduceSum": _over_axes(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": reshape,
    "Shape": lambda inputs, attributes: torch.tensor(inputs[0].shape),  # type: ignore[union-attr]
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": slice_,
    "Softmax": lambda inputs, attributes: torch.softmax(inputs[0], attributes.get("axis", -1)),  # type: ignore[arg-type]
    "Split": split,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": lambda inputs, attributes: inputs[0].permute(*attributes["perm"]),  # type: ignore[union-attr]
    "Unsqueeze": unsqueeze,
}
"""The operators of this project's compiled models, by name."""
