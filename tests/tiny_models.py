"""Small open_clip models with random weights, saved as checkpoint directories as open_clip publishes them.

Each is made once per test session.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}


@dataclass(frozen=True)
class Tiny:
    """An architecture and its preprocessing."""

    model: dict[str, Any]
    preprocess: dict[str, Any] = field(default_factory=dict)
    hf_tokenizer: bool = False


TINY = {
    "clip": Tiny(
        {
            "embed_dim": 64,
            "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
            "text_cfg": TEXT,
        },
        {"mean": [0.48, 0.45, 0.4], "std": [0.26, 0.26, 0.27]},
    ),
    "siglip": Tiny(
        {
            "embed_dim": 64,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 160,
                "timm_model_name": "test_vit",
                "timm_model_pretrained": False,
                "timm_pool": "map",
                "timm_proj": "none",
            },
            "text_cfg": {
                "context_length": 24,
                "vocab_size": 400,
                "hf_tokenizer_name": "somebody/siglip",
                "tokenizer_kwargs": {"clean": "canonicalize"},
                "width": 64,
                "heads": 2,
                "layers": 2,
                "no_causal_mask": True,
                "proj_bias": True,
                "pool_type": "last",
                "norm_kwargs": {"eps": 1e-6},
                "act_kwargs": {"approximate": "tanh"},
            },
        },
        {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"},
        hf_tokenizer=True,
    ),
    "resnet": Tiny(
        {
            "embed_dim": 32,
            "quick_gelu": True,
            "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
            "text_cfg": {**TEXT, "width": 32, "context_length": 16},
        },
        {"interpolation": "bilinear", "resize_mode": "longest", "fill_color": 127},
    ),
}


@cache
def tiny_model(base: Path, name: str) -> Path:
    """A checkpoint directory for ``local-dir:``, below the session's temporary directory."""
    directory = base / f"tiny-{name}"
    directory.mkdir()
    save_tiny_model(directory, name)
    return directory


def save_tiny_model(directory: Path, name: str, *, seed: int = 0) -> None:
    """Write a model into an existing directory."""
    import torch
    from safetensors.torch import save_file

    tiny = TINY[name]
    config = {"model_cfg": tiny.model, "preprocess_cfg": tiny.preprocess}
    (directory / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = {key: tensor.contiguous() for key, tensor in create_tiny_model(name).state_dict().items()}
    save_file(state, directory / "open_clip_model.safetensors")
    if tiny.hf_tokenizer:
        unigram_tokenizer().save_pretrained(directory)


def create_tiny_model(name: str) -> Any:
    """The bare open_clip module, newly initialised."""
    import copy

    from open_clip.model import CLIP, CustomTextCLIP

    config = copy.deepcopy(TINY[name].model)
    return (CustomTextCLIP if config.pop("custom_text", False) else CLIP)(**config)


@cache
def compiled_model(base: Path, name: str) -> Path:
    """The cache of compiled models with one in it, made once; see `clipsearch.models.specs.compiled_dir`."""
    from unittest import mock

    import torch

    from clipsearch.models.compile.compile import export_model

    cache_folder = base / "compiled"
    (exported := base / f"exported-{name}").mkdir()
    export = torch.onnx.export

    def keep(module: Any, arguments: Any, file: Path, **options: Any) -> None:
        export(module, arguments, file, **options)
        shutil.copy(file, exported)

    with mock.patch("torch.onnx.export", keep):
        export_model(f"local-dir:{tiny_model(base, name)}", cache=cache_folder)
    return cache_folder


def exported_tower(base: Path, name: str, file: str) -> Path:
    """A tower as it was exported, before anything was done to it: what takes the exporter seconds to make."""
    compiled_model(base, name)
    return base / f"exported-{name}" / file


def copied_export(base: Path, name: str) -> Callable[..., None]:
    """Takes the place of `torch.onnx.export`, which takes seconds: copies what that once made of a small model."""
    exported = {file: exported_tower(base, name, file) for file in ("image.onnx", "text.onnx")}

    def copy(module: Any, arguments: Any, file: Path, **options: Any) -> None:
        shutil.copy(exported[file.name], file)

    return copy


CORPUS = (
    "two dogs play in the snow", "a cup of coffee on the table", "the rocket is launched at night", "a red flower",
    "zwei Hunde spielen im Schnee", "ein Fahrrad an der Wand", "кошка на диване", "猫がソファで寝ている",
    "قطة على الأريكة",
)  # fmt: skip


def unigram_tokenizer() -> Any:
    """A small SentencePiece-like tokenizer with an end token, padded with <pad>, as SigLIP's are."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<pad>", "<eos>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="right"
    )


def word_piece_tokenizer() -> Any:
    """A small BERT-like tokenizer."""
    from tokenizers import BertWordPieceTokenizer, Tokenizer
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(CORPUS * 3, vocab_size=250, special_tokens=special, show_progress=False)
    from tokenizers.processors import BertProcessing

    tokenizer = Tokenizer.from_str(trained.to_str())
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


def byte_level_tokenizer() -> Any:
    """A small RoBERTa-like tokenizer, padded on the left."""
    from tokenizers import ByteLevelBPETokenizer, Tokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        CORPUS * 3, vocab_size=400, special_tokens=["<s>", "<pad>", "</s>"], show_progress=False
    )
    tokenizer = Tokenizer.from_str(trained.to_str())
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        padding_side="left",
    )
