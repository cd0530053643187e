"""Teaching the text tower its languages: the many-language encoder's upper layers, vectors of word pieces and the head,
against pictures as they are.

A batch has captions of all languages, contrasted with the pictures of all of them, so that they share one space; a text
is drawn to what both encoders make of its English translation, and a foreign caption to what MiniLM makes of its
picture's English captions. What lies below the trained layers is computed once.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.training.losses import clip_loss, matching_loss
from clipsearch.training.mini.data import TrainingData
from clipsearch.training.mini.fit import CAPTIONED_SETS, TextNumbers, named_sets, pick
from clipsearch.training.mini.text_side import Ragged
from clipsearch.training.mini.towers import PieceBag, TextHead
from clipsearch.training.mini.translations import Translation
from clipsearch.training.mini.usem import LANGUAGES, UniversalSentenceEncoder

logger = logging.getLogger(__name__)
FEWEST_PICTURES = 200
"""Captioned pictures that a language must have for its captions to be trained on."""


@dataclass(frozen=True)
class LanguageStage:
    """How the text tower is trained.

    Attributes:
        steps: of the optimizer.
        english: photos with an English caption per step.
        foreign: photos with a caption in another language per step.
        flattening: a language with n captioned photos is drawn in proportion to n to this power.
        translations: texts with a translation per step.
        listed_share: of them, the share from the project's own list.
        named_batch: named pictures per step, of each group.
        words: of the vocabulary per step.
        lr: highest learning rate of the head; it rises and falls over one cycle.
        layers_lr: of the encoder's upper layers.
        pieces_lr: of the vectors of word pieces.
        share_lr: of the share of MiniLM.
        weight_decay: of AdamW.
        names_weight: weight of the loss over each group of named pictures.
        keyword_weight: weight of the loss over keywords.
        agreement_weight: weight of what draws texts to what both encoders make of their English.
    """

    steps: int = 600
    english: int = 512
    foreign: int = 1024
    flattening: float = 0.4
    translations: int = 1024
    listed_share: float = 0.5
    named_batch: int = 250
    words: int = 256
    lr: float = 1e-3
    layers_lr: float = 2e-4
    pieces_lr: float = 1e-3
    share_lr: float = 1e-3
    weight_decay: float = 0.05
    names_weight: float = 0.2
    keyword_weight: float = 0.3
    agreement_weight: float = 2.0


@dataclass(frozen=True)
class TextBatch:
    """Some texts, as the text tower takes them in training.

    Attributes:
        english: MiniLM's sentence vectors, zeros for a text that is not English, float32 [n, width].
        pooled: what the many-language encoder has pooled, float32 [n, POOLED_WIDTH].
        ids: of the word pieces of all of them, int64 [pieces].
        starts: where each text's ids begin, int64 [n].
    """

    english: Tensor
    pooled: Tensor
    ids: Tensor
    starts: Tensor


class TextFeatures:
    """What is computed once of every text, by its number."""

    def __init__(self, english: Tensor, pooled: Tensor, tokens: Sequence[Sequence[int]]) -> None:
        """Take the parts of `TextBatch` for all texts, float16, and the ids of each; the first are the English ones."""
        self._english = english
        self._pooled = pooled
        self._ragged = Ragged(tokens)
        self._ids = torch.tensor([token for ids in tokens for token in ids], dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._pooled)

    def batch(self, rows: NDArray[np.int64]) -> TextBatch:
        """Texts by their numbers, int64 [n]."""
        english = torch.zeros(len(rows), self._english.shape[1])
        is_english = rows < len(self._english)
        english[torch.from_numpy(is_english)] = self._english[torch.from_numpy(rows[is_english])].float()
        starts = np.concatenate([[0], self._ragged.lengths[rows].cumsum()[:-1]])
        pooled = self._pooled[torch.from_numpy(rows)].float()
        return TextBatch(english, pooled, self._ids[self._ragged.places(rows)], torch.from_numpy(starts))


class LanguageModel(nn.Module):
    """The text tower above what is computed once: the many-language encoder's upper layers, pieces and the head."""

    def __init__(self, encoder: UniversalSentenceEncoder, pieces: PieceBag, head: TextHead) -> None:
        """Bind the parts; what of the head reads MiniLM stays as it is."""
        super().__init__()
        self.encoder = encoder
        self.pieces = pieces
        self.head = head

    def world(self, texts: TextBatch) -> Tensor:
        """Unit embeddings [n, dim] by the many-language encoder alone."""
        return self.head.of_world(self.encoder.sentence(texts.pooled), self.pieces.of_bags(texts.ids, texts.starts))

    def both(self, texts: TextBatch, world: Tensor) -> Tensor:
        """Unit embeddings [n, dim] of English texts, by both encoders."""
        return F.normalize(self.head.mixed(self.head.of_english(texts.english), world), dim=1)


@dataclass(frozen=True)
class Space:
    """What the text tower is trained against.

    Attributes:
        images: embeddings of each view of every picture, float16 [views, images, dim].
        texts: every text by its number.
        logit_scale: the inverse temperature.
    """

    images: Tensor
    texts: TextFeatures
    logit_scale: float


@dataclass(frozen=True)
class LanguageTexts:
    """The texts that are trained on.

    Attributes:
        numbers: of all of them.
        translations: texts and what they mean.
        vocabulary: English words that no picture need show.
    """

    numbers: TextNumbers
    translations: Sequence[Translation]
    vocabulary: Sequence[str]


def fit_languages(
    model: LanguageModel,
    space: Space,
    data: TrainingData,
    texts: LanguageTexts,
    *,
    stages: Sequence[LanguageStage],
    rng: np.random.Generator,
    after_steps: Callable[[int, float], None] | None = None,
) -> None:
    """Train the upper layers and the head in place: once for each stage from the same start; the weights are averaged.

    Args:
        model: what is trained.
        space: pictures and texts.
        data: which text is true of which picture.
        texts: all texts.
        stages: how, one at least.
        rng: draws.
        after_steps: gets the number of steps done and the mean loss since the last time, every hundred; for the average
            zeros.

    Source: Wortsman et al. 2022, Model Soups, §2, the uniform soup.
    """
    drawn = _Draws(space, data, texts, rng=rng)
    targets = _caption_targets(model.eval(), drawn)
    scale = torch.tensor(space.logit_scale)
    start = copy.deepcopy(model.state_dict())
    total = {name: torch.zeros_like(weight) for name, weight in start.items() if weight.is_floating_point()}
    for stage in stages:
        model.load_state_dict(start)
        _fit(model, drawn, targets, scale, stage=stage, after_steps=after_steps)
        for name, weight in model.state_dict().items():
            if name in total:
                total[name] += weight / len(stages)
    model.load_state_dict({**start, **total})
    if after_steps is not None:
        after_steps(0, 0.0)


def _fit(
    model: LanguageModel,
    drawn: _Draws,
    targets: dict[int, Tensor],
    scale: Tensor,
    *,
    stage: LanguageStage,
    after_steps: Callable[[int, float], None] | None,
) -> None:
    """Train in place, once."""
    upper = model.encoder.upper_layers()
    for parameter in upper:
        parameter.requires_grad_(True)
    groups = [
        {"params": list(model.head.world.parameters()), "lr": stage.lr},
        {"params": upper, "lr": stage.layers_lr},
        {"params": list(model.pieces.parameters()), "lr": stage.pieces_lr, "weight_decay": 0.0},
        {"params": [model.head.share], "lr": stage.share_lr, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=stage.weight_decay)
    rates = [stage.lr, stage.layers_lr, stage.pieces_lr, stage.share_lr]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=stage.steps, pct_start=0.15)
    total = 0.0
    for step in range(1, stage.steps + 1):
        model.train()
        loss = _loss(model, drawn, targets, scale, stage)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        total += float(loss.detach())
        if step % 100 == 0 and after_steps is not None:
            model.eval()
            after_steps(step, total / 100)
            total = 0.0
    model.eval()
    for parameter in upper:
        parameter.requires_grad_(False)


class _Draws:
    """Draws captions, translations and names, with embeddings of their pictures."""

    def __init__(
        self,
        space: Space,
        data: TrainingData,
        texts: LanguageTexts,
        *,
        rng: np.random.Generator,
    ) -> None:
        self.features = space.texts
        self.images = space.images
        self.data = data
        self.numbers = texts.numbers
        self.vocabulary = texts.vocabulary
        self.rng = rng
        captioned = np.concatenate([data.sets[name] for name in CAPTIONED_SETS])
        speakers = {
            language: [int(number) for number in captioned if data.sentences[number].get(language)]
            for language in LANGUAGES
        }
        self.english = speakers.pop("en")
        self.speakers = {language: own for language, own in speakers.items() if len(own) >= FEWEST_PICTURES}
        self.named = named_sets(data, data.names)
        self.translations = _by_language(texts.translations)
        self.listed = _by_language([own for own in texts.translations if own.listed])

    def texts(self, texts: Sequence[str]) -> TextBatch:
        """What is computed once of texts."""
        return self.features.batch(self.numbers(texts))

    def pictures(self, chosen: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Embeddings of one random view of each picture, float32 [n, dim]."""
        views = torch.from_numpy(self.rng.integers(len(self.images), size=len(chosen)))
        return self.images[views, torch.from_numpy(np.asarray(chosen, np.int64))].float()

    def captions(self, count: int) -> tuple[list[int], list[str]]:
        """Pictures with an English caption, and one of each."""
        chosen = self.rng.permutation(self.english)[:count].tolist()
        return chosen, [pick(self.data.sentences[number]["en"], self.rng) for number in chosen]

    def foreign_captions(self, count: int, flattening: float) -> tuple[list[int], list[str]]:
        """Different pictures and one caption of each, in all languages."""
        said: dict[int, str] = {}
        sizes = [len(own) ** flattening for own in self.speakers.values()]
        for language, share in zip(self.speakers, _shares(sizes, count, self.rng), strict=True):
            for number in self.rng.permutation(self.speakers[language])[:share].tolist():
                said[number] = pick(self.data.sentences[number][language], self.rng)
        return list(said), list(said.values())

    def translated(self, count: int, listed_share: float) -> list[Translation]:
        """Translations of all languages, those of one with many a little more often."""
        drawn = []
        sizes = [len(texts) ** 0.5 for texts in self.translations.values()]
        for language, share in zip(self.translations, _shares(sizes, count, self.rng), strict=True):
            for _ in range(share):
                listed = self.rng.random() < listed_share and language in self.listed
                texts = self.listed[language] if listed else self.translations[language]
                drawn.append(texts[int(self.rng.integers(len(texts)))])
        return drawn

    def keywords(self, pictures: Sequence[int]) -> tuple[list[int], list[str], Tensor]:
        """Those of some pictures that have keywords, one keyword of each, and which is true of which [n, m]."""
        able = [number for number in pictures if self.data.spoken[number]]
        words = sorted({pick(self.data.spoken[number], self.rng) for number in able})
        keyword_sets = [set(self.data.spoken[number]) for number in able]
        return able, words, torch.tensor([[word in said for word in words] for said in keyword_sets])


def _by_language(translations: Sequence[Translation]) -> dict[str, list[Translation]]:
    languages = dict.fromkeys(own.language for own in translations)
    return {language: [own for own in translations if own.language == language] for language in languages}


def _shares(sizes: Sequence[float], count: int, rng: np.random.Generator) -> list[int]:
    shares: list[int] = rng.multinomial(count, np.array(sizes) / sum(sizes)).tolist()
    return shares


@torch.no_grad()
def _caption_targets(model: LanguageModel, drawn: _Draws) -> dict[int, Tensor]:
    """For each captioned picture the mean of what MiniLM makes of its English captions, [dim].

    The other encoder has no part in it: its head may be untrained.
    """
    targets = {}
    for number in drawn.english:
        english = drawn.texts(drawn.data.sentences[number]["en"]).english
        targets[number] = F.normalize(model.head.of_english(english).mean(dim=0), dim=0)
    return targets


def _loss(
    model: LanguageModel, drawn: _Draws, targets: dict[int, Tensor], scale: Tensor, stage: LanguageStage
) -> Tensor:
    english, said = drawn.captions(stage.english)
    foreign, others = drawn.foreign_captions(stage.foreign, stage.flattening)
    translations = drawn.translated(stage.translations, stage.listed_share)
    meanings = list(dict.fromkeys(own.english for own in translations))
    named = [group.draw(stage.named_batch, drawn.rng) for group in drawn.named]
    able, keywords, true = drawn.keywords(english)
    words = [pick(drawn.vocabulary, drawn.rng) for _ in range(stage.words)]
    groups = [said, others, [own.text for own in translations], meanings, keywords, words]
    groups += [phrases for _, phrases, _ in named]
    lengths = [len(group) for group in groups]
    texts = drawn.texts([text for group in groups for text in group])
    world = model.world(texts)
    both = torch.split(model.both(texts, world), lengths)
    own, abroad, translated, meant, spoken, known, *_ = torch.split(world, lengths)
    pictures, elsewhere = drawn.pictures(english), drawn.pictures(foreign)
    loss = clip_loss(pictures, both[0], scale) + clip_loss(elsewhere, abroad, scale)
    loss = loss + 0.5 * clip_loss(torch.cat([pictures, elsewhere]), torch.cat([own, abroad]), scale)
    with_target = [place for place, number in enumerate(foreign) if number in targets]
    loss = loss + _distance(abroad[with_target], torch.stack([targets[foreign[place]] for place in with_target]))
    place_of = {text: place for place, text in enumerate(meanings)}
    places = torch.tensor([place_of[own.english] for own in translations])
    loss = loss + _translation_loss(
        translated, meant, both[3], places=places, scale=scale, weight=stage.agreement_weight
    )
    for (rows, _, fits), phrases in zip(named, both[6:], strict=True):
        loss = loss + stage.names_weight * matching_loss(drawn.pictures(rows), phrases, torch.from_numpy(fits), scale)
    loss = loss + stage.keyword_weight * matching_loss(drawn.pictures(able), both[4], true, scale)
    agreement = _distance(own, both[0]) + _distance(torch.cat([spoken, known]), torch.cat([both[4], both[5]]))
    return loss + stage.agreement_weight * agreement


def _translation_loss(
    translated: Tensor, meant: Tensor, both: Tensor, *, places: Tensor, scale: Tensor, weight: float
) -> Tensor:
    """How far texts are from what they mean, and from being as similar to other meanings as that is.

    Args:
        translated: embeddings of the texts by the many-language encoder, [n, dim].
        meant: of their English meanings, [m, dim].
        both: of the meanings by both encoders, [m, dim].
        places: of each text's meaning, int64 [n].
        scale: the inverse temperature.
        weight: of the distance of texts.

    Source: Reimers and Gurevych 2020, Making Monolingual Sentence Embeddings Multilingual, eq. 1, and the relations
    after Hinton et al. 2015, Distilling the Knowledge in a Neural Network, §2.
    """
    both = both.detach()
    near = weight * _distance(translated, both[places]) + _distance(meant, both)
    relations = (scale * both[places] @ both.T).log_softmax(dim=1)
    log_probabilities = (scale * translated @ both.T).log_softmax(dim=1)
    return near + F.kl_div(log_probabilities, relations, log_target=True, reduction="batchmean")


def _distance(embeddings: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cosine similarity; the target does not move."""
    return 1.0 - F.cosine_similarity(embeddings, target.detach(), dim=1).mean()
