"""The towers of an open_clip model as ONNX graphs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.errors import ModelError
from clipsearch.text import first_line

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from clipsearch.models.torch.encoder import OpenClipEncoder

MIN_PARITY = 0.999
"""Lowest cosine similarity between the exported model's and the source's embeddings on the check set."""

_EXAMPLES = ["a photo of a cat", "two dogs"]
"""What the text tower is exported with."""

_OPSET = 23
"""The first opset with an attention operator."""

_SINGLE_FILE_BYTES = 1_900_000_000
"""Weights above this size are stored in a separate file; ONNX files are limited to 2 GB."""


@dataclass(frozen=True)
class Tower:
    """Arguments of the ONNX exporter for one tower.

    Attributes:
        file: name of its graph.
        module: from the input to embeddings.
        example: an input, a batch of two.
        input_name: in the graph.
        output_name: in the graph.
        longest: largest size of the input's second axis; ``None`` if it is always that of the example.
    """

    file: str
    module: torch.nn.Module
    example: torch.Tensor
    input_name: str
    output_name: str
    longest: int | None = None


def _unpadded(encoder: OpenClipEncoder, tokenizer: Tokenizer) -> torch.nn.Module | None:
    """The text tower for texts without padding, which the tokenizer then leaves out.

    Returns:
        The tower; ``None``, and the tokenizer unchanged, if padding changes the embeddings.
    """
    import torch

    from clipsearch.models.compile.layers import unpadded

    short, padding = unpadded(encoder.text_tower), tokenizer.padding or {}
    if short is None or padding.get("direction") != "right":
        return None
    tokenizer.enable_padding(**{**padding, "length": None})
    ids = torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(_EXAMPLES)])
    with torch.inference_mode():
        expected = encoder.text_tower(encoder.tokenizer(_EXAMPLES))
        if torch.cosine_similarity(short(ids), expected).min() >= MIN_PARITY:
            return short
    tokenizer.enable_padding(**padding)
    return None


def towers_of(encoder: OpenClipEncoder, tokenizer: Tokenizer) -> list[Tower]:
    """The image and the text tower.

    Where padding changes no embedding, the text tower takes texts of any length and `tokenizer` is changed to add none.
    """
    import torch

    height, width = encoder.image_spec.size
    pixels = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    tokens = encoder.tokenizer(_EXAMPLES)
    short = _unpadded(encoder, tokenizer)
    text = encoder.text_tower if short is None else short
    longest = encoder.context_length if short is not None else None
    return [
        Tower("image.onnx", encoder.image_tower, pixels, "pixels", "image_embeddings"),
        Tower("text.onnx", text, tokens, "input_ids", "text_embeddings", longest),
    ]


def export_tower(tower: Tower, directory: Path, spec: str) -> None:
    """Write the graph of a tower under its name.

    Raises:
        ModelError: it cannot be exported.
        OSError: it cannot be written.
    """
    import torch

    from clipsearch.models.compile.layers import exported_layers

    axes = {0: torch.export.Dim("batch")}
    if tower.longest is not None:
        axes[1] = torch.export.Dim("tokens", min=2, max=tower.longest)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in _weights(tower))
    try:
        with _exporter_settings(), exported_layers(tower.module):
            torch.onnx.export(
                tower.module,
                (tower.example,),
                directory / tower.file,
                input_names=[tower.input_name],
                output_names=[tower.output_name],
                dynamic_shapes={tower.input_name: axes},
                external_data=weights > _SINGLE_FILE_BYTES,
                dynamo=True,
                opset_version=_OPSET,
                verbose=False,
            )
    except OSError:
        raise
    except Exception as error:  # the exporter's exceptions have no common base class
        raise ModelError(f"{tower.file} of {spec} cannot be exported: {first_line(error)}") from error


def _weights(tower: Tower) -> Iterator[torch.Tensor]:
    """The parameters of one tower; its `model` has both towers."""
    visual = {id(tensor) for tensor in tower.module.model.visual.parameters()}  # type: ignore[union-attr]
    is_image = tower.file == "image.onnx"
    return (tensor for tensor in tower.module.parameters() if (id(tensor) in visual) == is_image)


@contextlib.contextmanager
def _exporter_settings() -> Iterator[None]:
    """Settings for the export: unfused attention, and the exporter's warnings and log silenced."""
    import logging

    import torch

    fast_path = torch.backends.mha.get_fastpath_enabled()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    torch.backends.mha.set_fastpath_enabled(False)
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        logger.setLevel(level)
