"""The operators of compiled models in torch, so that their weights can be trained.

Source: ONNX operator specifications, opset 17.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Tensor | None], Attributes], Tensor]

_TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
"""ONNX's numbers of the types that graphs cast to."""


def conv(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Convolution in two dimensions; padding may differ from side to side."""
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
    """Round to 8 bits and back, as the compiled model will; gradients pass where nothing was cut.

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
    found = values.index_select(axis, places.reshape(-1).to(values.device))
    return found.reshape([*values.shape[:axis], *places.shape, *values.shape[axis + 1 :]])


def slice_(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """A range of each of some axes."""
    values, starts, ends, axes, steps = (*inputs, None, None)[:5]
    assert values is not None and starts is not None and ends is not None
    own_axes = range(len(starts)) if axes is None else axes.tolist()
    own_steps = [1] * len(starts) if steps is None else steps.tolist()
    index = [slice(None)] * values.ndim
    for axis, start, end, step in zip(own_axes, starts.tolist(), ends.tolist(), own_steps, strict=True):
        index[axis] = slice(start, end, step)
    return values[tuple(index)]


def reshape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """Another shape; 0 keeps a dimension."""
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
    """Division; of whole numbers towards zero."""
    left, right = inputs
    assert left is not None and right is not None
    whole = not left.is_floating_point() and not right.is_floating_point()
    return torch.div(left, right, rounding_mode="trunc" if whole else None)


def _over_axes(reduce: Callable[..., Tensor]) -> Operator:
    def run(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
        values, axes = (*inputs, None)[:2]
        assert values is not None
        own = attributes["axes"] if axes is None else axes.tolist()
        return reduce(values, dim=tuple(own), keepdim=bool(attributes.get("keepdims", 1)))

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
    "Mul": _plain(torch.mul),
    "Pow": _plain(torch.pow),
    "QuantizeLinear": quantize,
    "ReduceMean": _over_axes(torch.mean),
    "ReduceSum": _over_axes(torch.sum),
    "Reshape": reshape,
    "Shape": lambda inputs, attributes: torch.tensor(inputs[0].shape),  # type: ignore[union-attr]
    "Slice": slice_,
    "Softmax": lambda inputs, attributes: torch.softmax(inputs[0], attributes.get("axis", -1)),  # type: ignore[arg-type]
    "Sub": _plain(torch.sub),
    "Transpose": lambda inputs, attributes: inputs[0].permute(*attributes["perm"]),  # type: ignore[union-attr]
    "Unsqueeze": unsqueeze,
}
"""What a compiled model of this project is made of, by the operator's name."""
