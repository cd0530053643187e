"""Fit and measure what tells a match from none, for one model.

Run::

    make calibrate DATA=../shared/data
    python -m clipsearch.training.mini.calibrate --data ../shared/data --output data/calibration

Every caption of Flickr8k's `dev` split is asked of random libraries of `dev` photos: with its own photo in them, and
with that photo removed. Words of captions are no use for that: a caption that does not say "white" does not say that
nothing is white. They serve to measure templates for short queries. Writes MODEL.json with the fitted
coefficients, default.json with the same for models that nothing was fitted for, and the model's caption bank.
Seeded; a few minutes, most of them for embedding 2,000 photos.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from clipsearch.evaluation import read_captions
from clipsearch.media.decoding import load_image
from clipsearch.metrics import first_relevant_ranks, hit_rate_at_k
from clipsearch.models.encoder import Encoder, FloatMatrix
from clipsearch.models.loading import load_encoder
from clipsearch.retrieval.prompts import embed_queries
from clipsearch.retrieval.relevance.calibration import BANK_FEATURES, Calibration, calibration_json
from clipsearch.retrieval.relevance.caption_bank import bank_name, generic_captions, write_bank
from clipsearch.training.mini import calibration_fit as fitting
from clipsearch.training.mini.calibration_set import SIZES, Queries, Trials, draw_trials
from clipsearch.training.mini.data import caption_keywords

SEED = 0
SMALL_SIZES = (5, 10, 15)
"""Libraries below `FEWEST_IN_BACKGROUND`, which the bank alone is fitted for."""

_BATCH = 32


@dataclass(frozen=True)
class Material:
    """Embedded pictures and what is said of them.

    Attributes:
        dev: float32 [photos, dim], Flickr8k `dev`.
        captions: the captions of each of them.
        samples: float32 [samples, dim], one photo per ImageNet class.
        labels: their classes' names.
    """

    dev: FloatMatrix
    captions: tuple[tuple[str, ...], ...]
    samples: FloatMatrix
    labels: tuple[str, ...]


def load_material(data: Path, encoder: Encoder) -> Material:
    """Read and embed the photos.

    Raises:
        ConfigError: a list is missing.
        ImageReadError: a photo is.
    """
    captions: dict[str, list[str]] = {}
    for row in read_captions(data / "flickr8k" / "captions.tsv", split="dev"):
        captions.setdefault(row.image, []).append(row.text)
    labels = read_captions(data / "imagenet-samples" / "labels.tsv")
    return Material(
        dev=_embed(encoder, [data / "flickr8k" / "images" / name for name in captions]),
        captions=tuple(tuple(own) for own in captions.values()),
        samples=_embed(encoder, [data / "imagenet-samples" / row.image for row in labels]),
        labels=tuple(row.text for row in labels),
    )


def caption_queries(material: Material, encoder: Encoder, *, ensemble: bool) -> Queries:
    """Every caption; its own photo is the answer, and the captions of a photo are a group."""
    texts = [caption for own in material.captions for caption in own]
    photo = np.repeat(np.arange(len(material.captions)), [len(own) for own in material.captions])
    answers = photo[:, None] == np.arange(len(material.captions))
    return Queries("captions", tuple(texts), _texts(encoder, texts, ensemble=ensemble), answers, photo)


def keyword_queries(material: Material, encoder: Encoder, *, ensemble: bool) -> Queries:
    """Words and pairs of words of the captions; the photos that a caption says them of are the answers."""
    keywords, spoken = caption_keywords(material.captions)
    answers = np.zeros((len(keywords), len(material.captions)), dtype=bool)
    for photo, own in enumerate(spoken):
        answers[own, photo] = True
    embeddings = _texts(encoder, keywords, ensemble=ensemble)
    groups = np.arange(len(keywords)) + len(material.captions)  # none that a photo's captions have
    return Queries("keywords", tuple(keywords), embeddings, answers, groups)


def label_queries(material: Material, encoder: Encoder, *, ensemble: bool) -> Queries:
    """The names of the ImageNet classes; the samples of that name are the answers."""
    texts = list(dict.fromkeys(material.labels))
    answers = np.array(texts)[:, None] == np.array(material.labels)
    return Queries("labels", tuple(texts), _texts(encoder, texts, ensemble=ensemble), answers, np.arange(len(texts)))


def ensemble_helps(material: Material, encoder: Encoder) -> tuple[bool, dict[str, list[float]]]:
    """Whether templates make short queries better: surely so on `dev` keywords, and no worse on labels.

    Returns:
        The verdict, and each figure for bare names and for the ensemble.
    """
    bare, prompted = (keyword_queries(material, encoder, ensemble=ensemble) for ensemble in (False, True))
    precisions = np.array([_average_precisions(queries, material.dev) for queries in (bare, prompted)])
    rng = np.random.default_rng(SEED)
    gains = precisions[1] - precisions[0]
    resampled = rng.choice(gains, (fitting.RESAMPLES, len(gains))).mean(axis=1)
    labels = [label_queries(material, encoder, ensemble=ensemble) for ensemble in (False, True)]
    hits = [_hit_rate(queries, material.samples) for queries in labels]
    low, high = np.quantile(resampled, (0.025, 0.975))
    figures = {
        "dev keywords, mean average precision": precisions.mean(axis=1).tolist(),
        "dev keywords, gain (95 % interval)": [float(low), float(high)],
        "label search, hit rate @1": hits,
    }
    return bool(low > 0 and hits[1] >= hits[0]), figures


def calibrate(
    material: Material, queries: Queries, bank: FloatMatrix, *, model: str, prompt_ensemble: bool
) -> tuple[Calibration, Trials, Trials]:
    """Fit both regressions and set the thresholds.

    Returns:
        What was fitted; the trials it was fitted on; and those of small libraries.
    """
    rng = np.random.default_rng(SEED)
    trials, small = (draw_trials(queries, material.dev, bank, rng=rng, sizes=sizes) for sizes in (SIZES, SMALL_SIZES))
    strong, possible = fitting.thresholds(fitting.out_of_fold(trials.features, trials), trials.present)
    calibration = Calibration(
        model=model,
        library=fitting.fit_logistic(trials.features, trials.present),
        bank=fitting.fit_logistic(small.features[:, -len(BANK_FEATURES) :], small.present),
        strong=strong,
        possible=possible,
        prompt_ensemble=prompt_ensemble,
    )
    return calibration, trials, small


def _texts(encoder: Encoder, texts: Sequence[str], *, ensemble: bool) -> FloatMatrix:
    return embed_queries(encoder, texts, ensemble=ensemble, notify=lambda line: None)


def _embed(encoder: Encoder, paths: Sequence[Path]) -> FloatMatrix:
    min_side = encoder.transform.min_side
    blocks = [
        encoder.encode_images([load_image(path, min_side=min_side).image for path in paths[start : start + _BATCH]])
        for start in range(0, len(paths), _BATCH)
    ]
    return np.concatenate(blocks)


def _average_precisions(queries: Queries, images: FloatMatrix) -> NDArray[np.float64]:
    scores = queries.embeddings @ images.T
    found = [average_precision_score(right, own) for right, own in zip(queries.answers, scores, strict=True)]
    return np.array(found)


def _hit_rate(queries: Queries, images: FloatMatrix) -> float:
    scores = queries.embeddings @ images.T
    best_answer = np.where(queries.answers, scores, -np.inf).argmax(axis=1)
    return hit_rate_at_k(first_relevant_ranks(scores, best_answer), 1)


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
    from clipsearch.training.mini.calibration_report import figures, lines

    encoder = load_encoder(model)
    material = load_material(data, encoder)
    helps, prompting = ensemble_helps(material, encoder)
    captions = generic_captions()
    stored = encoder.encode_texts(captions).astype(np.float16)
    bank = stored.astype(np.float32)
    queries = caption_queries(material, encoder, ensemble=helps)
    calibration, trials, small = calibrate(material, queries, bank, model=model, prompt_ensemble=helps)
    named = label_queries(material, encoder, ensemble=helps)
    labels = draw_trials(named, material.samples, bank, rng=np.random.default_rng(SEED))
    measured = figures(calibration, trials, small=small, labels=labels)
    for line in lines(measured, prompting, calibration):
        click.echo(line)
    output.mkdir(parents=True, exist_ok=True)
    bank_file = bank_name(encoder.fingerprint, captions)
    _drop_old_bank(output / f"{model}.json")
    write_bank(output / bank_file, stored)
    more = {"fingerprint": encoder.fingerprint, "bank_file": bank_file, "measured": measured, "prompting": prompting}
    (output / f"{model}.json").write_text(calibration_json(calibration, **more), encoding="utf-8")
    unmeasured = replace(calibration, prompt_ensemble=False)
    note = f"The coefficients of {model}, for models that nothing was fitted for; unmeasured there."
    (output / "default.json").write_text(calibration_json(unmeasured, note=note), encoding="utf-8")


if __name__ == "__main__":
    main()
