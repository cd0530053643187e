"""The open_clip encoder: any model that open_clip can load, on CUDA, MPS or CPU."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from clipsearch.errors import ModelError
from clipsearch.media.transform import ImageSpec, ImageTransform, Interpolation, ResizeMode
from clipsearch.models.downloads import network_for, pretrained_config
from clipsearch.models.encoder import FloatMatrix, l2_normalize, transform_images
from clipsearch.models.specs import ModelSpec, parse_spec
from clipsearch.models.torch.image_batches import ImageBatches
from clipsearch.models.torch.light_import import import_open_clip, uninitialized
from clipsearch.models.torch.towers import ImageTower, TextTower
from clipsearch.system.silence import silenced
from clipsearch.text import Notify, first_line

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.models.parity import Parity

open_clip = import_open_clip()

_BATCH_SIZES = {"cuda": 256, "mps": 64, "cpu": 16}
"""Initial batch sizes; halved permanently when memory is insufficient. For images on CUDA, a measured one is used."""

_IMAGE_BATCHES_IN_FLIGHT = 2


class OpenClipEncoder:
    """Runs an open_clip model with torch.

    Attributes, besides those of `clipsearch.models.encoder.Encoder`:
        image_spec: input of the image tower.
        image_tower: module from pixels uint8 [n, h, w, 3] to embeddings, not normalized.
        text_tower: module from token ids int64 [n, t] to embeddings, not normalized.
        tokenizer: open_clip's tokenizer.
    """

    parity: Parity | None = None  # not quantized

    def __init__(self, spec: str | ModelSpec, *, device: str = "auto", notify: Notify | None = None) -> None:
        """Load a model.

        Args:
            spec: ``architecture/pretrained``, ``hf-hub:org/name`` or ``local-dir:PATH``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``…
            notify: callback for a notice about a download.

        Raises:
            ModelError: the model is unknown, unavailable offline or damaged.
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
        self.batches_at_once = 1
        if self.device == "cuda":
            self.batches_at_once = _IMAGE_BATCHES_IN_FLIGHT
            self.image_tower.to(memory_format=torch.channels_last)  # as the pixels are
            torch.cuda.synchronize(self._torch_device)  # the streams of the batches do not wait for this one
        self._images = ImageBatches(self._embed_images, self._torch_device, in_flight=_IMAGE_BATCHES_IN_FLIGHT)
        self.text_tower = TextTower(model, separator_id=_stripped_separator(self.tokenizer))
        self.dim = self._text_rows([""]).shape[1]
        self.context_length = int(self.tokenizer.context_length)

    def count_tokens(self, text: str) -> int:
        """Number of tokens of a text, including special tokens, without truncation and padding."""
        if hasattr(self.tokenizer, "encode"):  # open_clip's own, whose `encode` adds no special tokens
            return len(self.tokenizer.encode(text)) + 2
        cleaned = self.tokenizer.clean_fn(text)
        if self.tokenizer.tokenizer_mode == "clips":  # truncated to context_length - 3, plus three special tokens
            return len(self.tokenizer.tokenizer(cleaned, add_special_tokens=False, verbose=False)["input_ids"]) + 3
        return len(self.tokenizer.tokenizer(cleaned, truncation=False, verbose=False)["input_ids"])

    def knows(self, word: str) -> bool:
        """Whether there is a token for any part of a word; open_clip's own tokenizer has one for each byte."""
        if hasattr(self.tokenizer, "encode"):
            return True
        inner = self.tokenizer.tokenizer
        cleaned = self.tokenizer.clean_fn(word)
        tokens = inner(cleaned, add_special_tokens=False, verbose=False)["input_ids"]
        return any(token != inner.unk_token_id for token in tokens)

    def encode_images(self, images: Sequence[Image.Image]) -> FloatMatrix:
        """Embed images; see `Encoder.encode_images`."""
        return self.encode_pixels(transform_images(self.transform, images))

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        """Embed transformed images; see `Encoder.encode_pixels`."""
        return self.encode_pictures([pixels])

    def encode_pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> FloatMatrix:
        """Embed transformed images, several batches at once from as many threads; see `EncodesPictures`."""

        def run(rows: slice) -> NDArray[np.float32]:
            return self._images.embed(pictures, rows.start, rows.stop - rows.start)

        return self._in_batches(sum(map(len, pictures)), run)

    @cached_property
    def images_per_batch(self) -> int:
        """The best batch, which takes a second to measure on CUDA; see `clipsearch.models.encoder.EmbedsInBatches`."""
        if self.device == "cuda":
            self._batch_size = self._images.best_batch(self.image_spec.size)
        return self._batch_size

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        """Embed texts; see `Encoder.encode_texts`."""
        return self._in_batches(len(texts), lambda rows: self._text_rows(texts[rows]))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text, as passed to the text tower, including padding."""
        ids: list[int] = self.tokenizer([text])[0].tolist()
        return ids

    def _text_rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self._run(self.text_tower, self.tokenizer(list(texts)).to(self._torch_device))
        return rows.float().cpu().numpy()

    def _embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._run(self.image_tower, pixels)

    def _run(self, tower: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        autocast = torch.autocast(self.device, dtype=self._autocast_dtype, enabled=self._autocast_dtype is not None)
        with torch.inference_mode(), autocast:
            embeddings: torch.Tensor = tower(batch)
        return embeddings

    def _in_batches(self, total: int, run: Callable[[slice], NDArray[np.float32]]) -> FloatMatrix:
        blocks = [np.empty((0, self.dim), np.float32)]
        start = 0
        while start < total:
            size = self._batch_size
            try:
                blocks.append(run(slice(start, start + size)))
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise ModelError(f"{self.spec} does not fit into the memory of {self.device}") from error
                self._batch_size = min(self._batch_size, size // 2)  # another thread may have halved it meanwhile
            else:
                start += len(blocks[-1])
                continue
            torch.cuda.empty_cache()  # outside the handler, whose traceback still refers to the failed run's tensors
        return l2_normalize(np.concatenate(blocks))


def pick_device(name: str) -> torch.device:
    """The torch device of a name; ``auto`` prefers CUDA, then MPS, then the CPU.

    Raises:
        ModelError: the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:  # torch raises RuntimeError, AssertionError and others
        raise ModelError(f"torch has no device {name!r} on this machine; remove --device") from error
    return device


def image_spec(preprocess: dict[str, Any]) -> ImageSpec:
    """open_clip's preprocessing configuration as an `ImageSpec`.

    Raises:
        ModelError: a setting is not supported.
    """
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[-1]))
    mode: ResizeMode = preprocess["resize_mode"] or "shortest"
    if mode not in get_args(ResizeMode):
        raise ModelError(f"the model's resize mode {mode!r} is not supported")
    # open_clip also treats all other values ("random") as bicubic
    interpolation: Interpolation = "bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic"
    return ImageSpec((height, width), mode, interpolation, preprocess["fill_color"])


def weights_fingerprint(state: dict[str, torch.Tensor], preprocess: dict[str, Any]) -> str:
    """Identity of a model's weights and preprocessing, independent of machine and path.

    Args:
        state: the state dict, on the CPU.
        preprocess: open_clip's preprocessing configuration.

    Returns:
        XXH3-64 of names, types, shapes and bytes of the tensors, 16 hex digits.
    """
    import xxhash

    digest = xxhash.xxh3_64(json.dumps(preprocess, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load_model(spec: ModelSpec) -> Any:
    # OpenAI's checkpoints were trained with QuickGELU; open_clip only warns if the architecture lacks it
    quick_gelu = bool(pretrained_config(spec).get("quick_gelu"))
    # big_vision's checkpoints alone are not checked to have every weight
    is_checked = not (spec.pretrained or "").endswith((".npz", ".npy"))
    with uninitialized() if is_checked else contextlib.nullcontext():
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
    """Silence open_clip and translate the exceptions of it, torch, safetensors and transformers."""
    try:
        with silenced("open_clip"):
            yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the model {spec.text} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    if kind == "UnpicklingError":
        return "its checkpoint is a pickle with more than weights, or damaged; it was not executed"
    if kind == "SafetensorError":
        return f"its safetensors file is damaged ({error})"
    if isinstance(error, ModuleNotFoundError) and error.name == "transformers":
        return "its text tower or tokenizer needs another package: pip install transformers"
    return first_line(error)


def _stripped_separator(tokenizer: Any) -> int | None:
    if not getattr(tokenizer, "strip_sep_token", False):
        return None
    separator: int = tokenizer.tokenizer.sep_token_id
    return separator


def _autocast_dtype(device: torch.device) -> torch.dtype | None:
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
