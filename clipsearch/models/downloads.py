"""The files open_clip needs for a model, and whether they must be downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsearch.errors import ModelError
from clipsearch.models.hub import HUB_TIMEOUT_S, hub_reachable, is_cached, offline
from clipsearch.models.presets import CHECKPOINT_NAMES, TOKENIZER_NAMES, preset_downloaded, preset_of
from clipsearch.models.specs import OPEN_CLIP_CONFIG, ModelSpec, model_config, unknown_model
from clipsearch.text import Notify

_OPEN_CLIP_URL_CACHE = "~/.cache/clip"
"""open_clip's directory for the few checkpoints that are not on the hub."""


@dataclass(frozen=True)
class HubFile:
    """A file of a hub repository, under any of `names`."""

    repository: str
    names: tuple[str, ...]

    @property
    def is_cached(self) -> bool:
        """Whether it is in the local cache."""
        return is_cached(self.repository, self.names)


@contextmanager
def network_for(spec: ModelSpec, notify: Notify) -> Iterator[None]:
    """Context in which open_clip loads a model: offline if all files are cached, else with access to the hub.

    Raises:
        ModelError: a download is needed and no hub answers within `HUB_TIMEOUT_S`.
    """
    if not needs_download(spec):
        with offline():
            yield
        return
    _require_hub(spec)
    notify(f"downloading {spec.text}…")
    yield


def require_available(spec: ModelSpec) -> None:
    """Fail early, before torch is imported, if a preset or hub model is unavailable.

    Raises:
        ModelError: the model is not cached and no hub answers.
    """
    if (spec.kind == "hf-hub" or preset_of(spec.text) is not None) and needs_download(spec):
        _require_hub(spec)


def needs_download(spec: ModelSpec) -> bool:
    """Whether a file of the model is not cached.

    Raises:
        ModelError: open_clip does not know the pair's weights.
    """
    preset = preset_of(spec.text)
    if preset is not None:
        return not preset_downloaded(preset)
    if any(not file.is_cached for file in _tokenizer_and_text_files(spec)):
        return True
    if spec.kind == "hf-hub":
        files = [HubFile(spec.name, (OPEN_CLIP_CONFIG,)), HubFile(spec.name, CHECKPOINT_NAMES)]
        return any(not file.is_cached for file in files)
    return spec.kind == "pair" and not _pair_cached(spec)


def _require_hub(spec: ModelSpec) -> None:
    if not hub_reachable():
        raise ModelError(
            f"the model {spec.text} is not on this machine and no model hub answered within {HUB_TIMEOUT_S:g} s; "
            "go online, or use --model mini or --model local-dir:PATH"
        )


def pretrained_config(spec: ModelSpec) -> dict[str, Any]:
    """open_clip's entry for a pair's weights; ``{}`` if the weights are a file.

    Raises:
        ModelError: open_clip lists no such weights for the architecture.
    """
    if spec.pretrained is None or Path(spec.pretrained).is_file():
        return {}
    from clipsearch.models.torch.light_import import import_open_clip

    open_clip = import_open_clip()
    config: dict[str, Any] = open_clip.get_pretrained_cfg(spec.name, spec.pretrained)
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(spec.name)
        raise ModelError(unknown_model(spec.text, spec.text, [f"{spec.name}/{tag}" for tag in tags]))
    return config


def _pair_cached(spec: ModelSpec) -> bool:
    config = pretrained_config(spec)
    if not config or "file" in config:
        return True
    if config.get("hf_hub"):
        repository, _, name = config["hf_hub"].rpartition("/")
        return is_cached(repository, _alternatives(name))
    return (Path(_OPEN_CLIP_URL_CACHE).expanduser() / Path(config["url"]).name).is_file()


def _alternatives(name: str) -> tuple[str, ...]:
    if not name or name in CHECKPOINT_NAMES:
        return CHECKPOINT_NAMES
    return (name, str(Path(name).with_suffix(".safetensors")))


def _tokenizer_and_text_files(spec: ModelSpec) -> list[HubFile]:
    if spec.kind == "hf-hub":
        return []  # they are named by its configuration, which may not be cached either
    text = model_config(spec)["text_cfg"] if model_config(spec) else {}
    files = []
    if text.get("hf_model_name"):
        files.append(HubFile(text["hf_model_name"], ("config.json",)))
    if text.get("hf_tokenizer_name") and spec.kind != "local-dir":
        files.append(HubFile(text["hf_tokenizer_name"], TOKENIZER_NAMES))
    return files
