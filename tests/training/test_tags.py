"""Fitting what makes tags of cosines, on photos of colours with captions; only the model is a small one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from clipsearch.catalog.vocabulary import Folding, Word, more_general, parse_vocabulary
from clipsearch.labeling.tag_scores import TagScorer, load_tag_calibration
from clipsearch.training.mini import tags
from clipsearch.training.mini.spoken import spoken_words
from clipsearch.training.mini.tags import (
    PhotoSet,
    choose_threshold,
    fit_calibration,
    fit_logistic,
    truth_of,
)
from tests.conftest import ColourEncoder, save_photo

SHADES = {"red": (215, 40, 40), "green": (40, 150, 50), "blue": (40, 60, 210), "yellow": (225, 220, 40)}
OTHERS = ("purple", "brown", "pink", "navy", "olive", "teal", "maroon", "silver", "gold")
OTHER_LISTS = {
    "flickr8k-languages/captions.tsv": "image split language caption",
    "coco/captions.tsv": "image language caption",
    "coco/labels.tsv": "image split labels",
    "coco/object-names.tsv": "en ko ja zh de fr es",
    "named/captions.tsv": "image caption",
    "named/labels.tsv": "image split label",
    "imagenet-samples-languages/labels.tsv": "image label",
    "tuxpaint-stamps/captions.tsv": "image caption",
}
VOCABULARY = (
    "name\tsynonyms\tgroup\tkind of\n"
    + "".join(f"{name}\t{'scarlet' if name == 'red' else ''}\tcolours\n" for name in SHADES)
    + "".join(f"{name}\n" for name in OTHERS)
)


class Colours(ColourEncoder):
    spec = "colours"  # as the bundled model's: files are called by it


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> tuple[Word, ...]:
    """A vocabulary of colours, and a model that knows them."""
    found = parse_vocabulary(VOCABULARY, "of the test")
    monkeypatch.setattr(tags, "load_vocabulary", lambda: found)
    monkeypatch.setattr(tags, "load_encoder", lambda _: Colours())
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of Flickr8k's form: of each five, one has captions that leave its colour out; and named samples."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(1)
    rows, labels = ["image\tsplit\tcaption"], ["image\tlabel"]

    def picture(path: Path, colour: str) -> None:
        shade = np.array(SHADES[colour]) + random.integers(-35, 36, size=3)
        save_photo(path, tuple(shade.clip(0, 255).tolist()), size=(12, 12))  # type: ignore[arg-type]

    for number in range(80):
        colour = list(SHADES)[number // 2 % 4]  # neighbours are of one colour: one is fitted on, one measured on
        picture(root / "flickr8k" / "images" / f"{number}.png", colour)
        said = "something" if number // 2 % 5 == 0 else colour
        rows += [f"{number}.png\tdev\ta photo of {said}", f"{number}.png\tdev\ta picture"]
    for number in range(16):
        colour = list(SHADES)[number // 2 % 4]
        picture(root / "imagenet-samples" / f"{number}.png", colour)
        labels.append(f"{number}.png\t{colour if number < 14 else 'no word of it'}")
    (root / "flickr8k" / "captions.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "imagenet-samples" / "labels.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    for path, columns in OTHER_LISTS.items():  # of sets that have no part in it
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(columns.replace(" ", "\t") + "\n", encoding="utf-8")
    return root


def run(data: Path, output: Path) -> dict[str, Any]:
    output.mkdir()
    (output / "words-bank-of-former-weights.npy").touch()
    done = CliRunner().invoke(tags.main, ["--data", str(data), "--output", str(output), "--model", "colours"])
    assert done.exit_code == 0, done.output
    assert [path.stat().st_size > 0 for path in output.glob("words-bank-*.npy")] == [True]
    written: dict[str, Any] = json.loads((output / "tags-colours.json").read_text(encoding="utf-8"))
    return written


@pytest.mark.usefixtures("words")
def test_the_program_fits_measures_and_writes_what_tagging_reads(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = run(data, tmp_path / "calibration")
    captions, samples = written["measured"]["captions"], written["measured"]["imagenet"]
    assert (captions["photos"], samples["photos"]) == (40, 7)
    assert captions["precision_all_words"] == pytest.approx(tags.PRECISION, abs=0.05) and captions["recall"] > 0.9
    assert captions["precision_judged_words"] >= captions["precision_all_words"]
    assert samples["recall"] > 0.9
    names = {path.name for path in (tmp_path / "calibration").iterdir()}
    assert {"tags-colours.json", "tags-default.json"} < names and len(names) == 3, "and the words' embeddings"
    monkeypatch.setattr("clipsearch.retrieval.relevance.logistic.data_dir", lambda: tmp_path)
    fitted = load_tag_calibration("colours")
    assert (fitted.model, fitted.most, fitted.templates) == ("colours", tags.MOST, tags.TEMPLATES)
    assert load_tag_calibration("another") == fitted
    assert run(data, tmp_path / "again") == written, "the same data give the same numbers"


def sets(words: tuple[Word, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Embeddings of the words and of noisy photos, and which word is true of which photo."""
    random = np.random.default_rng(2)
    embedded = ColourEncoder().encode_texts([word.name for word in words])
    said = random.integers(0, 4, size=60)
    photos = embedded[said] + 0.8 * random.normal(size=(60, 16)).astype(np.float32) / 4
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    return embedded, photos, truth_of([{int(word)} for word in said], more_general(words))


def test_what_is_measured_on_has_no_part_in_the_fit(words: tuple[Word, ...]) -> None:
    embedded, photos, truth = sets(words)
    kinds, held_out = more_general(words), np.arange(60) % 2 == 1
    wrong = truth.copy()
    wrong[held_out] = ~wrong[held_out]
    fits = []
    for own in (truth, wrong):
        captions, samples = (PhotoSet(photos, own, embedded, judged=0) for _ in range(2))
        fits.append(fit_calibration("colours", captions, samples, embedded, kinds))
        scorer = TagScorer(fits[-1], embedded, photos[~held_out], more_general=kinds)
        measured = tags.measure(scorer, captions)
        assert (measured["precision_all_words"] > 0.5) == (own is truth)
    assert fits[0] == fits[1]


def test_the_threshold_is_the_lowest_that_is_precise_enough() -> None:
    probabilities = np.array([0.905, 0.805, 0.705, 0.605, 0.505, 0.405])
    truth = np.array([True, True, False, True, False, False])
    assert choose_threshold(probabilities, truth, 0.5) == pytest.approx(0.05)
    assert choose_threshold(probabilities, truth, 0.75) == pytest.approx(0.51)
    assert choose_threshold(probabilities, truth, 1.0) == pytest.approx(0.71)
    assert choose_threshold(probabilities, ~truth | truth, 1.0) == pytest.approx(0.05)
    assert choose_threshold(probabilities, truth & ~truth, 0.1) == 1.0, "then nothing is tagged"


def test_a_logistic_regression_finds_what_made_the_truth() -> None:
    random = np.random.default_rng(3)
    features = [random.normal(size=20_000) for _ in range(2)]
    truth = random.random(20_000) < 1 / (1 + np.exp(1.0 - 2.0 * features[0] + 0.5 * features[1]))
    fitted = fit_logistic(features, truth)
    assert fitted.intercept == pytest.approx(-1.0, abs=0.1)
    assert fitted.coefficients == pytest.approx((2.0, -0.5), abs=0.1)


def test_words_are_found_in_captions_with_their_synonyms_and_kinds() -> None:
    words = parse_vocabulary(
        "dog\thound\tanimals\tanimal\nanimal\nice cream\npuppy\t\tanimals\tdog\ncream\nred\n", "of the test"
    )
    rows = {word.name: row for row, word in enumerate(words)}
    said = spoken_words(["Two HOUNDS eat ice-cream.", "A dog with ice cream"], Folding(words), rows)
    assert {words[row].name for row in said} == {"dog", "ice cream", "cream"}
    truth = truth_of([{rows["puppy"]}, {rows["red"]}, set()], more_general(words))
    assert [[words[row].name for row in np.flatnonzero(own)] for own in truth] == [
        ["dog", "animal", "puppy"],
        ["red"],
        [],
    ]
