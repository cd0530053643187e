"""Fits and measures the tag calibration of a model.

Run::

    python -m clipsearch.training.mini.tags --data ../shared/data --output data/calibration

The truth is what people said of photos: the words of the vocabulary that occur in the five captions of each photo of
Flickr8k's `dev` split, synonyms and plurals folded, and the class of each ImageNet sample where the vocabulary has it;
with them the words that these are kinds of: whoever says puppy says dog. Captions leave much out, so that a precision
measured with them is a lower bound. Half of the photos is fitted on, the other half measured on. Writes
tags-MODEL.json, tags-default.json with the same for models that nothing was fitted for, and the embeddings of the
vocabulary. Some minutes, most of them for embedding 2,000 photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from clipsearch.catalog.vocabulary import Folding, load_vocabulary, more_general
from clipsearch.labeling.tag_scores import (
    LibraryLevels,
    TagCalibration,
    TagScorer,
    tag_calibration_json,
    word_features,
)
from clipsearch.labeling.tagging import embed_words, words_file
from clipsearch.models.encoder import FloatMatrix
from clipsearch.models.loading import load_encoder
from clipsearch.retrieval.relevance.caption_bank import write_bank
from clipsearch.retrieval.relevance.logistic import Logistic
from clipsearch.training.mini.data import load_training_data
from clipsearch.training.mini.measure import embed_pictures
from clipsearch.training.mini.spoken import spoken_words

TEMPLATES = ("{}",)
"""Measured on `dev`: average precision 0.289; of ``a photo of {a}`` 0.207, both together 0.293 at twice the time."""

MOST = 12
"""Tags that a picture gets at most."""

PRECISION = 0.55
"""That the threshold is chosen for, on the captions' words."""

PRECISION_ALONE = 0.5
"""The same for libraries too small to be compared with: else their pictures would hardly get a tag."""

FEWEST = 3
"""Photos whose captions must have a word for it to be fitted on."""


def fit_logistic(features: Sequence[NDArray[np.float64]], truth: NDArray[np.bool_]) -> Logistic:
    """Fit a logistic regression to features, each float64 [pairs], and what is true of the pairs, bool [pairs]."""
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(np.column_stack(features), truth)
    return Logistic(float(fitted.intercept_[0]), tuple(fitted.coef_[0].tolist()))


def choose_threshold(probabilities: NDArray[np.float64], truth: NDArray[np.bool_], precision: float) -> float:
    """The lowest probability, in hundredths, from which on that share of the pairs is true; both [pairs]."""
    for threshold in np.arange(0.05, 1.0, 0.01):
        passing = probabilities >= threshold
        if passing.any() and truth[passing].mean() >= precision:
            return float(threshold)
    return 1.0


class PhotoSet:
    """Photos, their cosines with the vocabulary, and which words are true of them."""

    def __init__(self, pictures: FloatMatrix, truth: NDArray[np.bool_], words: FloatMatrix, *, judged: int) -> None:
        """Compare them; every other photo is fitted on, and words that are true of `judged` of them at least."""
        self.pictures, self.truth = pictures, truth
        self.columns = np.flatnonzero(truth.sum(axis=0) >= judged)  # words that captions mention at least that often
        self.fitted_on = np.arange(len(pictures)) % 2 == 0
        scores = pictures @ words.T
        levels = LibraryLevels.of(scores[self.fitted_on], scores[self.fitted_on])
        self.features = (*levels.features(scores), *word_features(scores, scores))

    def pairs(self) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
        """Features and truth of every judged pair that is fitted on."""
        chosen = np.ix_(self.fitted_on, self.columns)
        return [feature[chosen].ravel() for feature in self.features], self.truth[chosen].ravel()


def measure(scorer: TagScorer, chosen: PhotoSet) -> dict[str, float]:
    """Precision and recall of the tags of the photos that were not fitted on."""
    pictures, truth = chosen.pictures[~chosen.fitted_on], chosen.truth[~chosen.fitted_on]
    tags = scorer.tags(pictures)
    predicted = np.zeros_like(truth)
    for row, own in enumerate(tags):
        predicted[row, [word for word, _ in own]] = True
    judged = predicted[:, chosen.columns]
    right = (judged & truth[:, chosen.columns]).sum()
    return {
        "photos": len(pictures),
        "tags_per_photo": round(float(predicted.sum(axis=1).mean()), 2),
        "precision_all_words": round(float(truth[predicted].mean()), 3) if predicted.any() else 0.0,
        "precision_judged_words": round(float(right / max(judged.sum(), 1)), 3),
        "recall": round(float(right / truth[:, chosen.columns].sum()), 3),
    }


def fit_calibration(
    spec: str, captions: PhotoSet, samples: PhotoSet, words: FloatMatrix, kinds: Sequence[Sequence[int]]
) -> TagCalibration:
    """Fit what makes tags of cosines.

    Args:
        spec: of the model.
        captions: photos with captions, which the thresholds are chosen on.
        samples: photos with a class each.
        words: embeddings of the vocabulary, float32 [words, dim], unit rows.
        kinds: as `TagScorer` takes them.
    """
    pairs = [chosen.pairs() for chosen in (captions, samples)]
    features = [np.concatenate(parts) for parts in zip(*(own for own, _ in pairs), strict=True)]
    truth = np.concatenate([own for _, own in pairs])
    library, alone = fit_logistic(features, truth), fit_logistic(features[2:], truth)
    calibration = TagCalibration(spec, library, alone, 0.0, 0.0, MOST, TEMPLATES)
    fitted = captions.pictures[captions.fitted_on]
    thresholds = [
        choose_threshold(
            TagScorer(calibration, words, background, more_general=kinds).probabilities(fitted).ravel(),
            captions.truth[captions.fitted_on].ravel(),
            precision,
        )
        for background, precision in ((fitted, PRECISION), (fitted[:0], PRECISION_ALONE))
    ]
    return replace(calibration, threshold=thresholds[0], words_threshold=thresholds[1])


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="With flickr8k and imagenet-samples.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Where the files go.")
@click.option("--model", "spec", default="mini", show_default=True)
def main(*, data: Path, output: Path, spec: str) -> None:
    """Fit, measure, and write the files."""
    encoder = load_encoder(spec)
    words = load_vocabulary()
    embedded, kinds = embed_words(encoder, words, TEMPLATES), more_general(words)
    material = load_training_data(data)
    photos, samples = (
        embed_pictures(encoder, [material.images[number] for number in material.sets[name]])
        for name in ("flickr8k dev", "samples")
    )
    folding, rows = Folding(words), {word.name: row for row, word in enumerate(words)}
    spoken = [
        spoken_words(captions, folding, rows) for captions in map(material.captions, material.sets["flickr8k dev"])
    ]
    classes = [rows.get(folding.canonical(label)) for label in material.labels]
    known = [row for row, word in enumerate(classes) if word is not None]
    named = [{word} for word in classes if word is not None]
    sets = {
        "captions": PhotoSet(photos, truth_of(spoken, kinds), embedded, judged=FEWEST),
        "imagenet": PhotoSet(samples[known], truth_of(named, kinds), embedded, judged=1),
    }
    calibration = fit_calibration(encoder.spec, sets["captions"], sets["imagenet"], embedded, kinds)
    measured: dict[str, Any] = {}
    for name, chosen in sets.items():
        for suffix, background in (("", chosen.pictures[chosen.fitted_on]), ("_without_library", chosen.pictures[:0])):
            scorer = TagScorer(calibration, embedded, background, more_general=kinds)
            measured[f"{name}{suffix}"] = measure(scorer, chosen)
    click.echo("\n".join(f"{name}: {figures}" for name, figures in measured.items()))
    text = tag_calibration_json(calibration, fingerprint=encoder.fingerprint, measured=measured)
    for name in (f"tags-{encoder.spec}.json", "tags-default.json"):
        (output / name).write_text(text, encoding="utf-8")
    for former in output.glob("words-bank-*.npy"):
        former.unlink()
    write_bank(output / words_file(encoder, words, TEMPLATES), embedded.astype(np.float16))


def truth_of(spoken: Sequence[set[int]], kinds: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Which words are true of photos, bool [photos, words]: those that were said, and what these are kinds of."""
    truth = np.zeros((len(spoken), len(kinds)), np.bool_)
    for row, own in enumerate(spoken):
        truth[row, sorted(own.union(*(kinds[word] for word in own)))] = True
    return truth


if __name__ == "__main__":
    main()
