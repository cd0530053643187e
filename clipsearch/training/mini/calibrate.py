"""Fit and measure what the probability of a result is, for one model.

Run::

    make calibrate DATA=../shared/data
    python -m clipsearch.training.mini.calibrate --data ../shared/data --output data/calibration

Names of COCO's objects, words, phrases and captions are asked of random libraries; each of the first results is right,
wrong or, where nobody can say, no example (`calibration_set`). It is fitted on COCO photos that training did not see
and half of Flickr8k's `dev`, and measured on COCO's `dev` and the other half. Writes MODEL.json with the fitted
coefficients, default.json with the same for models that nothing was fitted for, and the model's caption bank.
Seeded; a few minutes, most of them for embedding 10,000 photos.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from clipsearch.catalog.vocabulary import Folding, load_vocabulary, more_general
from clipsearch.models.encoder import Encoder, FloatMatrix
from clipsearch.models.loading import load_encoder
from clipsearch.retrieval.prompts import embed_queries
from clipsearch.retrieval.relevance.calibration import BANK_FEATURES, Calibration, calibration_json
from clipsearch.retrieval.relevance.caption_bank import bank_name, generic_captions, write_bank
from clipsearch.training.mini import calibration_fit as fitting
from clipsearch.training.mini.calibration_set import NO, UNCLEAR, YES, Queries, Results, draw_results, joined
from clipsearch.training.mini.data import (
    CALIBRATION_SET,
    TrainingData,
    caption_keywords,
    load_training_data,
    with_article,
)
from clipsearch.training.mini.measure import embed_pictures
from clipsearch.training.mini.spoken import spoken_words

SEED = 0
SMALL_SIZES = (5, 10, 15)
"""Libraries below `MIN_BACKGROUND`, which the bank alone is fitted for."""

AGREEING = 2
"""Captions of a photo that must mention something for it to be shown."""

FEWEST = 5
"""Photos that must show something for it to be asked for."""

KIND_WEIGHTS = {"names": 1.0, "nouns": 1.0, "phrases": 0.5, "captions": 0.25}
"""How much a kind of query counts in the fit, whatever its number of results."""


@dataclass(frozen=True)
class Photos:
    """Embedded photos of one half, with what is known of them.

    Attributes:
        labelled: float32 [photos, dim], of COCO.
        objects: names of the objects that each of them shows.
        captioned: float32 [photos, dim], of Flickr8k `dev`.
        captions: of each of them.
        others: float32 [photos, dim], that fill large libraries; nothing is known of them.
    """

    labelled: FloatMatrix
    objects: tuple[frozenset[str], ...]
    captioned: FloatMatrix
    captions: tuple[tuple[str, ...], ...]
    others: FloatMatrix


def load_photos(data: TrainingData, encoder: Encoder) -> tuple[Photos, Photos]:
    """Embed the photos to fit on and those to measure on."""
    sets = ("coco train", "named train", "named dev", "samples")
    others = embed_pictures(encoder, [data.images[number] for name in sets for number in data.sets[name]])
    halves = []
    for coco, half in ((CALIBRATION_SET, 0), ("coco dev", 1)):
        labelled, captioned = data.sets[coco], data.sets["flickr8k dev"][half::2]
        halves.append(
            Photos(
                embed_pictures(encoder, [data.images[number] for number in labelled]),
                tuple(frozenset(data.names[number]) for number in labelled),
                embed_pictures(encoder, [data.images[number] for number in captioned]),
                tuple(data.captions(number) for number in captioned),
                others,
            )
        )
    return halves[0], halves[1]


def name_queries(photos: Photos, encoder: Encoder, *, ensemble: bool) -> Queries:
    """The names of COCO's objects, bare and with an article; a label is exact in both directions."""
    bare = sorted(
        {name for own in photos.objects for name in own if with_article(name) in own and name != with_article(name)}
    )
    texts = [text for name in bare for text in (name, with_article(name))]
    truth = np.array([[YES if text in own else NO for own in photos.objects] for text in texts], np.int8)
    return Queries("names", tuple(texts), _texts(encoder, texts, ensemble=ensemble), truth, np.arange(len(texts)) // 2)


def noun_queries(photos: Photos, encoder: Encoder, *, ensemble: bool) -> Queries:
    """Words of the vocabulary: shown if several captions mention them or kinds of them, not shown if none does."""
    words = load_vocabulary()
    folding, rows, kinds = Folding(words), {word.name: row for row, word in enumerate(words)}, more_general(words)
    counts = np.zeros((len(words), len(photos.captions)), np.int64)
    for column, own in enumerate(photos.captions):
        for caption in own:
            said = spoken_words([caption], folding, rows)
            counts[sorted(said.union(*(kinds[word] for word in said))), column] += 1
    truth = np.select([counts >= AGREEING, counts == 0], [YES, NO], UNCLEAR).astype(np.int8)
    chosen = np.flatnonzero((truth == YES).sum(axis=1) >= FEWEST)
    texts = [words[row].name for row in chosen]
    return Queries(
        "nouns", tuple(texts), _texts(encoder, texts, ensemble=ensemble), truth[chosen], np.arange(len(texts))
    )


def phrase_queries(photos: Photos, encoder: Encoder, *, ensemble: bool) -> Queries:
    """Pairs of neighboring words: shown if several captions have them, not shown if none has any of the words."""
    keywords, spoken = caption_keywords(photos.captions)
    phrases = [number for number, keyword in enumerate(keywords) if " " in keyword]
    said = [Counter(word for caption in own for word in set(caption.lower().split())) for own in photos.captions]
    truth = np.full((len(phrases), len(photos.captions)), UNCLEAR, np.int8)
    for row, number in enumerate(phrases):
        words = keywords[number].split()
        for column, counts in enumerate(said):
            if not any(counts[word] for word in words):
                truth[row, column] = NO
            elif number in spoken[column] and min(counts[word] for word in words) >= AGREEING:
                truth[row, column] = YES
    texts = [keywords[number] for number in phrases]
    embeddings = _texts(encoder, texts, ensemble=ensemble)
    return Queries("phrases", tuple(texts), embeddings, truth, np.arange(len(texts)))


def caption_queries(photos: Photos, encoder: Encoder) -> Queries:
    """One caption of each photo: shown by its own photo, not by photos whose captions share no word with it."""
    keywords, spoken = caption_keywords(photos.captions)
    words = [{keywords[number] for number in own} for own in spoken]
    texts = [own[number % len(own)] for number, own in enumerate(photos.captions)]
    truth = np.array([[UNCLEAR if one & other else NO for other in words] for one in words], np.int8)
    np.fill_diagonal(truth, YES)
    return Queries("captions", tuple(texts), _texts(encoder, texts, ensemble=False), truth, np.arange(len(texts)))


def all_queries(photos: Photos, encoder: Encoder, *, ensemble: bool) -> list[tuple[Queries, FloatMatrix]]:
    """The queries of every kind, with the photos that their truth is of."""
    return [
        (name_queries(photos, encoder, ensemble=ensemble), photos.labelled),
        (noun_queries(photos, encoder, ensemble=ensemble), photos.captioned),
        (phrase_queries(photos, encoder, ensemble=ensemble), photos.captioned),
        (caption_queries(photos, encoder), photos.captioned),
    ]


def ensemble_helps(photos: Photos, encoder: Encoder) -> tuple[bool, dict[str, list[float]]]:
    """Whether templates make short queries better: surely so on the nouns.

    Returns:
        The verdict, and each figure for bare words and for the ensemble.
    """
    precisions = np.array(
        [
            _average_precisions(noun_queries(photos, encoder, ensemble=ensemble), photos.captioned)
            for ensemble in (False, True)
        ]
    )
    gains = precisions[1] - precisions[0]
    resampled = np.random.default_rng(SEED).choice(gains, (200, len(gains))).mean(axis=1)
    low, high = (float(value) for value in np.quantile(resampled, (0.025, 0.975)))
    figures = {
        "nouns, mean average precision": precisions.mean(axis=1).tolist(),
        "nouns, gain (95 % interval)": [low, high],
    }
    return low > 0, figures


def calibrate(
    queries: Sequence[tuple[Queries, FloatMatrix]],
    others: FloatMatrix,
    bank: FloatMatrix,
    *,
    model: str,
    prompt_ensemble: bool,
) -> Calibration:
    """Fit both regressions and set the thresholds."""
    rng = np.random.default_rng(SEED)
    large = [draw_results(own, photos, others, bank, rng=rng) for own, photos in queries]
    small = [
        draw_results(own, photos, others[:0], bank, rng=rng, sizes=SMALL_SIZES, repeats=3) for own, photos in queries
    ]
    kinds = [own.kind for own, _ in queries]
    results, weights = joined(large), _weights(large, kinds)
    few, few_weights = joined(small), _weights(small, kinds)
    probabilities = fitting.out_of_fold(results.features, results, weights)
    objects = np.concatenate(
        [np.full(len(part.right), kind in ("names", "nouns")) for part, kind in zip(large, kinds, strict=True)]
    )
    return Calibration(
        model=model,
        library=fitting.fit_logistic(results.features, results.right, weights),
        bank=fitting.fit_logistic(few.features[:, -len(BANK_FEATURES) :], few.right, few_weights),
        strong=fitting.strong_threshold(probabilities[objects], results.right[objects]),
        possible=fitting.possible_threshold(probabilities[objects], results.where(objects)),
        prompt_ensemble=prompt_ensemble,
    )


def measure(
    calibration: Calibration, queries: Sequence[tuple[Queries, FloatMatrix]], others: FloatMatrix, bank: FloatMatrix
) -> dict[str, Any]:
    """What is reached, by kind of query, over queries and photos that were not fitted on."""
    rng = np.random.default_rng(SEED + 1)
    figures = {}
    for own, photos in queries:
        results = draw_results(own, photos, others, bank, rng=rng)
        few = draw_results(own, photos, others[:0], bank, rng=rng, sizes=SMALL_SIZES, repeats=3)
        for name, part, probabilities in (
            (own.kind, results, calibration.library.probabilities(results.features)),
            (f"{own.kind}, few pictures", few, calibration.bank.probabilities(few.features[:, -len(BANK_FEATURES) :])),
        ):
            levels = {"strong": calibration.strong, "possible": calibration.possible}
            figures[name] = fitting.measured(probabilities, part, **levels)
    return figures


def _weights(parts: Sequence[Results], kinds: Sequence[str]) -> NDArray[np.float64]:
    total = sum(len(part.right) for part in parts)
    each = [
        np.full(len(part.right), KIND_WEIGHTS[kind] / max(1, len(part.right)))
        for part, kind in zip(parts, kinds, strict=True)
    ]
    weights: NDArray[np.float64] = np.concatenate(each) * total / sum(KIND_WEIGHTS.values())
    return weights


def _texts(encoder: Encoder, texts: Sequence[str], *, ensemble: bool) -> FloatMatrix:
    return embed_queries(encoder, texts, ensemble=ensemble, notify=lambda line: None)


def _average_precisions(queries: Queries, images: FloatMatrix) -> NDArray[np.float64]:
    scores = queries.embeddings @ images.T
    precisions = []
    for truth, own in zip(queries.truth, scores, strict=True):
        known = truth != UNCLEAR
        precisions.append(average_precision_score(truth[known] == YES, own[known]))
    return np.array(precisions)


def _drop_old_bank(path: Path) -> None:
    """Delete the bank that a former calibration file names."""
    named = json.loads(path.read_text(encoding="utf-8")).get("bank_file") if path.is_file() else None
    if named:
        (path.parent / named).unlink(missing_ok=True)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the training photos.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--model", default="mini", show_default=True, help="The model, a preset without a slash.")
def main(data: Path, output: Path, model: str) -> None:
    """Fit, measure, print and write."""
    encoder = load_encoder(model)
    fit_on, measure_on = load_photos(load_training_data(data), encoder)
    helps, prompting = ensemble_helps(fit_on, encoder)
    captions = generic_captions()
    stored = encoder.encode_texts(captions).astype(np.float16)
    bank = stored.astype(np.float32)
    queries = all_queries(fit_on, encoder, ensemble=helps)
    calibration = calibrate(queries, fit_on.others, bank, model=model, prompt_ensemble=helps)
    measured = measure(calibration, all_queries(measure_on, encoder, ensemble=helps), measure_on.others, bank)
    click.echo(
        json.dumps({**measured, **prompting, "strong": calibration.strong, "possible": calibration.possible}, indent=2)
    )
    output.mkdir(parents=True, exist_ok=True)
    bank_file = bank_name(encoder.fingerprint, captions)
    _drop_old_bank(output / f"{model}.json")
    write_bank(output / bank_file, stored)
    more = {"fingerprint": encoder.fingerprint, "bank_file": bank_file, "measured": measured, "prompting": prompting}
    (output / f"{model}.json").write_text(calibration_json(calibration, **more), encoding="utf-8")
    unmeasured = replace(calibration, prompt_ensemble=False)
    note = f"The coefficients of {model}, for models that nothing was fitted for."
    (output / "default.json").write_text(calibration_json(unmeasured, note=note), encoding="utf-8")


if __name__ == "__main__":
    main()
