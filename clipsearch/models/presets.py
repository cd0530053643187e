"""Models with short names, and the default model of a new library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clipsearch.config import data_dir
from clipsearch.models.hub import HUB_TIMEOUT_S, hub_reachable, is_cached
from clipsearch.models.specs import compiled_dir, is_compiled, parse_spec
from clipsearch.system.optional_packages import has_extra

AUTO = "auto"
MINI = "mini"

CHECKPOINT_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""The checkpoint files open_clip looks for in a hub repository, in its order."""

TOKENIZER_NAMES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "tokenizer.model")


@dataclass(frozen=True)
class Preset:
    """A model with a short name.

    Attributes:
        name: the short name.
        spec: the spec stored in a library.
        repository: Hugging Face repository; empty for the bundled model.
        download_mb: size of the weights in megabytes (10⁶ bytes).
        parameters_m: number of parameters in millions.
        dim: embedding dimension.
        licence: SPDX expression of the weights.
        languages: BCP 47 tags, ``("*",)`` for many.
        has_tokenizer: whether the tokenizer is a separate download (open_clip includes CLIP's).
        description: one line for display.
    """

    name: str
    spec: str
    repository: str
    download_mb: int
    parameters_m: float
    dim: int
    licence: str
    languages: tuple[str, ...]
    has_tokenizer: bool
    description: str


_PRESETS = (
    Preset(
        MINI,
        MINI,
        "",
        0,
        42.7,
        384,
        "research use, see MODEL_CARD.md",
        ("en",),
        False,
        "bundled; works offline at once",
    ),
    Preset(
        "base",
        "ViT-B-32-256/datacomp_s34b_b86k",
        "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
        605,
        151.3,
        512,
        "MIT",
        ("en",),
        False,
        "good and fast; the default if available",
    ),
    Preset(
        "multilingual",
        "ViT-B-32-SigLIP2-256/webli",
        "timm/ViT-B-32-SigLIP2-256",
        1507,
        376.9,
        768,
        "Apache-2.0",
        ("*",),
        True,
        "queries in many languages",
    ),
    Preset(
        "large",
        "ViT-L-16-SigLIP2-256/webli",
        "timm/ViT-L-16-SigLIP2-256",
        3526,
        881.5,
        1024,
        "Apache-2.0",
        ("*",),
        True,
        "the best quality; slow without a GPU",
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _PRESETS})
"""The presets by name, smallest first."""

_BY_SPEC = {preset.spec: preset for preset in _PRESETS}


def resolve_preset(name: str) -> str:
    """The spec of a model name entered by a user.

    Args:
        name: a preset, ``architecture/pretrained``, ``hf-hub:…``, ``local-dir:…`` or a directory.

    Returns:
        The spec, with absolute local directories.

    Raises:
        ModelError: the name is unknown, or a local directory does not exist.
    """
    name = name.strip()
    if name in PRESETS:
        return PRESETS[name].spec
    return parse_spec(name, suggestions=PRESETS).text


def preset_of(spec: str) -> Preset | None:
    """The preset with this spec."""
    return _BY_SPEC.get(spec)


def preset_cached(preset: Preset) -> bool:
    """Whether a preset is available offline: bundled, compiled or completely downloaded."""
    if not preset.repository:
        try:
            return is_compiled(data_dir() / "models" / preset.name)
        except FileNotFoundError:
            return False
    return is_compiled(compiled_dir(parse_spec(preset.spec))) or preset_downloaded(preset)


def preset_downloaded(preset: Preset) -> bool:
    """Whether the weights and a separate tokenizer are in the Hugging Face cache."""
    return is_cached(preset.repository, CHECKPOINT_NAMES) and (
        not preset.has_tokenizer or is_cached(preset.repository, TOKENIZER_NAMES)
    )


def resolve_auto() -> tuple[str, str | None]:
    """The default model of a new library.

    Returns:
        The spec of ``base`` if it is cached or a hub answers within `HUB_TIMEOUT_S`; else of ``mini``, with a notice.
    """
    base = PRESETS["base"]
    if preset_cached(base):
        return base.spec, None
    if not has_extra("openclip"):
        return MINI, (
            "using the bundled model mini; for base and every other OpenCLIP model: "
            "pip install 'clipsearch[openclip]', then: clipsearch migrate --model base"
        )
    if hub_reachable():
        return base.spec, None
    return MINI, (
        f"using the bundled model mini: base is not on this machine and no model hub answered within "
        f"{HUB_TIMEOUT_S:g} s; to change later: clipsearch migrate --model base"
    )
