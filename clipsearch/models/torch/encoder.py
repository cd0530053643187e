"""The open_clip encoder: any architecture and checkpoint that open_clip can load, on CUDA, MPS or CPU."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageSpec, ImageTransform, Interpolation, ResizeMode
from clipsearch.models.downloads import network_for, pretrained_config
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.specs import ModelSpec, parse_spec
from clipsearch.models.torch.towers import ImageTower, TextTower

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.models.parity import Parity

_BATCH_SIZES = {"cuda": 256, "mps": 64, "cpu": 16}
"""Rows of one run to start with; on CUDA halved for good whenever they do not fit."""


class OpenClipEncoder:
    """Runs an open_clip model with torch.

    Attributes, besides those of `clipsearch.models.encoder.Encoder`:
        image_spec: how a picture is brought to the image tower's input.
        image_tower: module from pixels uint8 [n, h, w, 3] to embeddings, not normalised.
        text_tower: module from token ids int64 [n, t] to embeddings, not normalised.
        tokenizer: open_clip's tokenizer of the model.
        logit_scale: the learned inverse temperature, exponentiated.
    """

    parity: Parity | None = None  # runs the weights themselves

    def __init__(
        self, spec: str | ModelSpec, *, device: str = "auto", notify: Callable[[str], None] | None = None
    ) -> None:
        """Load a model.

        Args:
            spec: ``architecture/pretrained``, ``hf-hub:org/name`` or ``local-dir:PATH``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``…
            notify: takes a line when something has to be downloaded.

        Raises:
            ModelError: it is unknown, not to be had without a network, or damaged.
        """
        parsed = parse_spec(spec) if isinstance(spec, str) else spec
        self.spec = parsed.text
        self._torch_device = pick_device(device)
        self.device = self._torch_device.type
        self._autocast_dtype = _autocast_dtype(self._torch_device)
        self.precision = {torch.bfloat16: "bf16", torch.float16: "fp16", None: "fp32"}[self._autocast_dtype]
        self._batch_size = _BATCH_SIZES.get(self.device, _BATCH_SIZES["cpu"])
        with network_for(parsed, notify or (lambda line: None)), _translated(parsed):
            model = _load_model(parsed)
            self.tokenizer: Any = open_clip.get_tokenizer(parsed.open_clip_name)
        preprocess: dict[str, Any] = dict(model.visual.preprocess_cfg)
        self.fingerprint = weights_fingerprint(model.state_dict(), preprocess)
        self.image_spec = image_spec(preprocess)
        self.transform = ImageTransform(self.image_spec)
        self.logit_scale = float(model.logit_scale.detach().exp().max())
        model.to(self._torch_device)
        self.image_tower = ImageTower(model, preprocess["mean"], preprocess["std"]).to(self._torch_device)
        self.text_tower = TextTower(model, separator_id=_stripped_separator(self.tokenizer))
        self.dim = self._text_rows([""]).shape[1]
        self.context_length = int(self.tokenizer.context_length)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, special tokens included, neither cut nor padded."""
        if hasattr(self.tokenizer, "encode"):  # open_clip's own, whose `encode` adds no special tokens
            return len(self.tokenizer.encode(text)) + 2
        cleaned = self.tokenizer.clean_fn(text)
        if self.tokenizer.tokenizer_mode == "clips":  # cut at context_length - 3, then three special tokens
            return len(self.tokenizer.tokenizer(cleaned, add_special_tokens=False, verbose=False)["input_ids"]) + 3
        return len(self.tokenizer.tokenizer(cleaned, truncation=False, verbose=False)["input_ids"])

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed RGB pictures of any size; float32 [n, dim], unit rows."""
        height, width = self.image_spec.size
        pixels = np.empty((len(images), height, width, 3), dtype=np.uint8)
        for row, image in enumerate(images):
            pixels[row] = self.transform(image)
        return self.encode_pixels(pixels)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed pictures, uint8 [n, height, width, 3]; float32 [n, dim], unit rows."""
        return self._in_batches(len(pixels), lambda rows: self._run(self.image_tower, torch.tensor(pixels[rows])))

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts; float32 [n, dim], unit rows."""
        return self._in_batches(len(texts), lambda rows: self._text_rows(texts[rows]))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of one text as the text tower gets them, padding included."""
        ids: list[int] = self.tokenizer([text])[0].tolist()
        return ids

    def _text_rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._run(self.text_tower, self.tokenizer(list(texts)))

    def _run(self, tower: torch.nn.Module, batch: torch.Tensor) -> NDArray[np.float32]:
        autocast = torch.autocast(self.device, dtype=self._autocast_dtype, enabled=self._autocast_dtype is not None)
        if self.device == "cuda":
            batch = batch.pin_memory()  # copied by the GPU itself, while this thread goes on
        with torch.inference_mode(), autocast:
            embeddings: torch.Tensor = tower(batch.to(self._torch_device, non_blocking=True))
        return embeddings.float().cpu().numpy()

    def _in_batches(self, total: int, run: Callable[[slice], NDArray[np.float32]]) -> FloatMatrix:
        blocks = [np.empty((0, self.dim), np.float32)]
        start = 0
        while start < total:
            try:
                blocks.append(run(slice(start, start + self._batch_size)))
            except torch.OutOfMemoryError as error:
                if self._batch_size == 1:
                    raise ModelError(f"{self.spec} does not fit into the memory of {self.device}") from error
                self._batch_size //= 2
            else:
                start += len(blocks[-1])
                continue
            torch.cuda.empty_cache()  # outside the handler, whose traceback still holds the failed run's tensors
        return l2_normalize(np.concatenate(blocks))


def pick_device(name: str) -> torch.device:
    """The torch device for ``auto`` (CUDA before MPS before CPU) or for an explicit name.

    Raises:
        ModelError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:  # torch raises RuntimeError, AssertionError and others
        raise ModelError(f"this machine has no device {name!r} that torch can use; leave out --device") from error
    return device


def image_spec(preprocess: dict[str, Any]) -> ImageSpec:
    """open_clip's preprocessing configuration as an `ImageSpec`.

    Raises:
        ModelError: it asks for something that clipsearch does not do.
    """
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[-1]))
    mode: ResizeMode = preprocess["resize_mode"] or "shortest"
    if mode not in get_args(ResizeMode):
        raise ModelError(f"the model wants its pictures resized by {mode!r}, which is unknown")
    # open_clip, too, takes everything else ("random") as bicubic
    interpolation: Interpolation = "bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic"
    return ImageSpec((height, width), mode, interpolation, preprocess["fill_color"])


def weights_fingerprint(state: dict[str, torch.Tensor], preprocess: dict[str, Any]) -> str:
    """Identity of a model's weights and preprocessing, the same on every machine and for every copy.

    Args:
        state: the state dict, on the CPU.
        preprocess: open_clip's preprocessing configuration.

    Returns:
        16 hex digits (XXH3-64) over names, types, shapes and bytes of the tensors.
    """
    import xxhash

    digest = xxhash.xxh3_64(json.dumps(preprocess, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load_model(spec: ModelSpec) -> Any:
    # some checkpoints (OpenAI's) were trained with QuickGELU; open_clip only warns if the architecture lacks it
    quick_gelu = bool(pretrained_config(spec).get("quick_gelu"))
    model = open_clip.create_model(
        spec.open_clip_name,
        spec.pretrained,
        precision="fp32",
        device="cpu",
        force_quick_gelu=quick_gelu,
        require_pretrained=True,
        weights_only=True,
    )
    return model.eval().requires_grad_(False)


@contextlib.contextmanager
def _translated(spec: ModelSpec) -> Iterator[None]:
    """Turn what open_clip, torch, safetensors and transformers raise into one line; mute open_clip's log."""
    root = logging.getLogger()
    root.addFilter(_not_from_open_clip)
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the model {spec.text} cannot be loaded: {_reason(error)}") from error
    finally:
        root.removeFilter(_not_from_open_clip)


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    if kind == "UnpicklingError":
        return "its checkpoint is a pickle that holds more than weights, or is damaged; it was not run"
    if kind == "SafetensorError":
        return f"its safetensors file is damaged ({error})"
    if isinstance(error, ModuleNotFoundError) and error.name == "transformers":
        return "its text tower or tokenizer needs another package: pip install transformers"
    first_line = (str(error).strip().splitlines() or [kind])[0]
    return first_line[:300]


def _not_from_open_clip(record: logging.LogRecord) -> bool:
    # open_clip logs through the root logger; its errors come back as exceptions
    return "open_clip" not in record.pathname


def _stripped_separator(tokenizer: Any) -> int | None:
    if not getattr(tokenizer, "strip_sep_token", False):
        return None
    separator: int = tokenizer.tokenizer.sep_token_id
    return separator


def _autocast_dtype(device: torch.device) -> torch.dtype | None:
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
