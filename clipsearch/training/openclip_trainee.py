"""Training of open_clip models, from pretrained weights or from scratch."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from clipsearch.errors import ModelError
from clipsearch.models.downloads import pretrained_config
from clipsearch.models.specs import OPEN_CLIP_CONFIG, ModelSpec, model_config, parse_spec
from clipsearch.models.torch.encoder import OpenClipEncoder
from clipsearch.system.silence import silenced
from clipsearch.text import first_line
from clipsearch.training.settings import Parts
from clipsearch.training.trainee import Trainee

WEIGHTS = "open_clip_model.safetensors"


class OpenClipTrainee(Trainee):
    """An open_clip model. The loss is CLIP's for every model; SigLIP's bias does not affect it and stays unchanged."""

    frozen = False

    def __init__(self, spec: str, parts: Parts, *, device: torch.device) -> None:
        """Load a model and unlock the trained parts.

        Raises:
            ModelError: the model is unavailable, or its architecture cannot be trained in parts.
        """
        super().__init__()
        encoder = OpenClipEncoder(spec, device=str(device))
        self.spec = encoder.spec
        self.fingerprint = encoder.fingerprint
        self.transform = encoder.transform
        self.tokenizer = encoder.tokenizer
        self.image_tower, self.text_tower = encoder.image_tower, encoder.text_tower
        self.model: Any = encoder.image_tower.model
        _unlock(self.model, parts, self.spec)
        self._config = checkpoint_config(parse_spec(spec), self.model)

    @property
    def log_scale(self) -> nn.Parameter:  # type: ignore[override]
        """The model's parameter."""
        parameter: nn.Parameter = self.model.logit_scale
        return parameter

    def image_inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """The pixels."""
        return torch.from_numpy(pixels)

    def text_inputs(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Token ids int64 [n, context length]."""
        return (self.tokenizer(list(texts)),)

    def embed_images(self, inputs: Tensor) -> Tensor:
        """Embed; see `Trainee`."""
        embeddings: Tensor = self.image_tower(inputs.to(self.device))
        return embeddings

    def embed_texts(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Embed; see `Trainee`."""
        embeddings: Tensor = self.text_tower(inputs[0].to(self.device))
        return embeddings

    def save(self, directory: Path) -> None:
        """Write a checkpoint; see `write_checkpoint`."""
        write_checkpoint(self.model, self.tokenizer, self._config, directory)


def write_checkpoint(model: Any, tokenizer: Any, config: dict[str, Any], directory: Path) -> None:
    """Write a directory for ``local-dir:``.

    Args:
        model: the open_clip module.
        tokenizer: its open_clip tokenizer; CLIP's is part of open_clip and not written.
        config: ``model_cfg`` and ``preprocess_cfg``.
        directory: an existing directory.
    """
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(state, directory / WEIGHTS)
    if config["model_cfg"]["text_cfg"].get("hf_tokenizer_name"):
        tokenizer.tokenizer.save_pretrained(str(directory))
    (directory / OPEN_CLIP_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def checkpoint_config(spec: ModelSpec, model: Any) -> dict[str, Any]:
    """open_clip's configuration of a model, without references to further pretrained weights."""
    config = model_config(spec) or open_clip.get_model_config(spec.open_clip_name) or {}
    architecture: dict[str, Any] = copy.deepcopy(config)
    if pretrained_config(spec).get("quick_gelu"):
        architecture["quick_gelu"] = True
    if "timm_model_name" in architecture["vision_cfg"]:
        architecture["vision_cfg"]["timm_model_pretrained"] = False
    return {"model_cfg": architecture, "preprocess_cfg": dict(model.visual.preprocess_cfg)}


def write_random_model(architecture: str, directory: Path, *, seed: int) -> None:
    """Write a randomly initialized model of an architecture.

    Args:
        architecture: open_clip's name.
        directory: created, unless this fails.
        seed: seed of the weights.

    Raises:
        ModelError: open_clip cannot create the model.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            with _quiet():
                model = open_clip.create_model(architecture, load_weights=False, pretrained_text=False)
                tokenizer = open_clip.get_tokenizer(architecture)
        except Exception as error:  # open_clip raises RuntimeError, OSError, KeyError and others
            raise ModelError(f"cannot create {architecture}: {first_line(error)}") from error
    local = architecture.removeprefix("local-dir:") if architecture.startswith("local-dir:") else None
    kind = "local-dir" if local else "hf-hub" if architecture.startswith("hf-hub:") else "pair"
    name = local or architecture.removeprefix("hf-hub:")
    made = directory.with_name(f".{directory.name}.partial")
    made.mkdir(parents=True, exist_ok=True)
    write_checkpoint(model, tokenizer, checkpoint_config(ModelSpec(architecture, kind, name), model), made)  # type: ignore[arg-type]
    made.rename(directory)


def _unlock(model: Any, parts: Parts, spec: str) -> None:
    """Unlock the chosen parts, by open_clip's groups of layers.

    Source: Zhai et al. 2022, LiT: Zero-Shot Transfer with Locked-image Text Tuning (towers locked in part).
    """
    model.requires_grad_(True)
    if parts.kind == "all":
        return
    visual, text = model.visual, getattr(model, "text", None)
    has_head = any(True for _ in getattr(visual, "head", nn.Identity()).parameters())  # not counted by `lock`
    try:
        with _quiet():
            if hasattr(visual, "attnpool") and parts.kind == "heads":
                visual.requires_grad_(False)
                visual.attnpool.requires_grad_(True)
            else:
                model.lock_image_tower(unlocked_groups=parts.layers + (0 if has_head else 1))
            model.lock_text_tower(unlocked_layers=parts.layers + (0 if hasattr(text, "config") else 1))
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{spec} cannot be trained in parts (--train {parts}); use --train all") from error
    model.logit_scale.requires_grad_(True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence open_clip, including its prints."""
    with silenced("open_clip"), contextlib.redirect_stdout(io.StringIO()):
        yield
