"""How the text tower tells English from other languages: by what each token of its English encoder says for English."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from clipsearch.training.mini.towers import PAIRS, pair_rows
from clipsearch.training.mini.translations import Translation, listed_words
from clipsearch.training.mini.usem import token_ids

_EPOCHS = 4
_BATCH = 2048
_RATE = 0.05
_DECAY = 0.1
_SHORT_TEXTS = 3
"""How often a word counts as evidence of a language, beside captions."""


def english_evidence(
    english: Sequence[str],
    abroad: Sequence[str],
    translations: Sequence[Translation],
    *,
    short: Sequence[str],
    tokenizer: Tokenizer,
    seed: int,
) -> Tensor:
    """What each of MiniLM's tokens says for English, from texts and from their words alone, as people type them.

    Args:
        english: all English texts.
        abroad: sentences in other languages.
        translations: texts and their English; words that no training sees are left out here, too.
        short: those of the English texts that people type alone.
        tokenizer: of the English encoder.
        seed: of the order of the texts.

    Returns:
        As of `fit_evidence`.
    """
    known = {text.lower() for text in english}
    words = _single_words(english)
    listed = [own.text for own in translations if own.language != "en" and own.text.lower() not in known]
    sentences = [text for text in abroad if text.lower() not in known]
    held_out = {
        text.lower() for word in listed_words() if word.held_out for own in word.translations.values() for text in own
    }
    others = set(_single_words([*sentences, *listed])).difference(words, held_out)
    return fit_evidence(
        [*english, *words, *list(short) * _SHORT_TEXTS],
        [*sentences, *sorted(others), *listed * _SHORT_TEXTS],
        tokenizer,
        seed=seed,
    )


def fit_evidence(english: Sequence[str], foreign: Sequence[str], tokenizer: Tokenizer, *, seed: int) -> Tensor:
    """What tokens of MiniLM and pairs of neighbors say for English: a text's sum is the logit that it is English.

    What no text has says nothing.

    Args:
        english: texts; those that come several times count as often.
        foreign: texts in other languages, the same.
        tokenizer: of the English encoder.
        seed: of the order of the texts.

    Returns:
        float32 [vocabulary + PAIRS, 1].
    """
    vocabulary = tokenizer.get_vocab_size()
    words = nn.EmbeddingBag(vocabulary + PAIRS, 1, mode="sum")
    nn.init.zeros_(words.weight)
    rows = [torch.tensor(ids) for ids in token_ids([*english, *foreign], tokenizer)]
    bags = [torch.cat([ids, pair_rows(ids, vocabulary)]) for ids in rows]
    labels = torch.cat([torch.ones(len(english)), torch.zeros(len(foreign))])
    weights = torch.where(labels > 0, 0.5 / len(english), 0.5 / len(foreign)) * len(labels)
    optimizer = torch.optim.Adam(words.parameters(), lr=_RATE)
    rng = np.random.default_rng(seed)
    batches = max(1, len(bags) // _BATCH)
    steps = _EPOCHS * batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    for _ in range(_EPOCHS):
        for chosen in np.array_split(rng.permutation(len(bags)), batches):
            drawn = [bags[row] for row in chosen]
            starts = torch.tensor([0, *(len(bag) for bag in drawn[:-1])]).cumsum(dim=0)
            logits = words(torch.cat(drawn), starts).squeeze(1)
            loss = F.binary_cross_entropy_with_logits(logits, labels[chosen], weights[chosen])
            loss = loss + _DECAY * words.weight.pow(2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return words.weight.detach().clone()


def _single_words(texts: Sequence[str]) -> list[str]:
    """The words of texts, each once, in lower case."""
    return list(dict.fromkeys(word for text in texts for word in re.findall(r"[^\W\d_]+", text.lower())))
