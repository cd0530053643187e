"""The arithmetic of strong, possible and none, the bank of captions, and the files that are shipped."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from clipsearch.config import data_dir
from clipsearch.errors import ModelError
from clipsearch.models.encoder import FloatMatrix, l2_normalize
from clipsearch.models.manifest import read_manifest
from clipsearch.retrieval.relevance import caption_bank as bank_module
from clipsearch.retrieval.relevance.calibration import (
    BACKGROUND_SIZE,
    BANK_FEATURES,
    EXCLUDED_NEAREST_SHARE,
    LIBRARY_FEATURES,
    Assessment,
    Calibration,
    Logistic,
    MatchAssessor,
    background_ids,
    bank_features,
    bank_moments,
    calibration_json,
    comparison_captions,
    library_features,
    load_calibration,
    score_level,
)
from clipsearch.retrieval.relevance.caption_bank import bank_name, caption_bank, generic_captions, write_bank
from clipsearch.training.mini import calibration_fit as fitting
from clipsearch.training.mini.calibration_set import NO, UNCLEAR, YES, Queries, draw_results

DIM = 32
CALIBRATION = Calibration(
    model="made-up",
    library=Logistic(-4.0, (-0.5, 1.5, 0.0, 0.0, 0.0, 0.0)),
    bank=Logistic(-3.0, (0.0, 1.0, 0.0, 0.0, 0.0)),
    strong=0.9,
    possible=0.3,
    prompt_ensemble=False,
)


class CountingEncoder:
    """Gives every text its own random direction, and counts what it was asked."""

    fingerprint = "0123456789abcdef"
    dim = DIM

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        self.asked += texts
        return unit(np.array([np.random.default_rng(list(text.encode())).normal(size=DIM) for text in texts]))


def unit(rows: np.ndarray) -> FloatMatrix:
    return l2_normalize(rows)


def random_unit(count: int, *, seed: int = 0) -> FloatMatrix:
    return unit(np.random.default_rng(seed).normal(size=(count, DIM)))


def _assess(
    assessor: MatchAssessor,
    query: np.ndarray,
    candidates: np.ndarray,
    library: np.ndarray,
    *,
    searched: int | None = None,
) -> list[Assessment]:
    return assessor.assess(query, candidates, assessor.background(library), searched=searched or len(library))


# --- features -----------------------------------------------------------------------------------


def test_library_features_are_in_standard_deviations_of_the_librarys_cosines() -> None:
    background = np.random.default_rng(0).normal(0.2, 0.05, size=999)
    found = library_features(np.array([0.2, 0.25, 0.35]), background, level=0.15, spread=0.05)
    assert found[:, 1] == pytest.approx([1.0, 2.0, 4.0])
    assert found[:, 0] == pytest.approx([(np.median(background) - 0.15) / 0.05] * 3)


def test_the_usual_level_is_that_of_all_pictures_and_captions() -> None:
    scores = np.random.default_rng(0).normal(0.2, 0.05, size=(40, 30))
    assert score_level(*bank_moments(scores)) == pytest.approx((scores.mean(), scores.std()))


def test_matches_in_the_library_do_not_hide_each_other() -> None:
    rng = np.random.default_rng(0)
    others, matches = rng.normal(0.2, 0.05, size=900), rng.normal(0.5, 0.05, size=100)
    alone, together = (
        library_features(np.array([0.5]), background, level=0.2, spread=0.05)[0]
        for background in (others, np.append(others, matches))
    )
    assert together == pytest.approx(alone, abs=0.2)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, 0.0), (0.2, 0.4), (2.0, -0.1)])
def test_features_do_not_depend_on_scale_and_level_of_a_models_cosines(scale: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    scores, background, bank, texts = (rng.normal(size=size) for size in (5, 200, (5, 100), 100))

    def features(factor: float, offset: float) -> np.ndarray:
        own, others, captions = (factor * values + offset for values in (scores, background, bank))
        levels = library_features(own, others, *score_level(*bank_moments(captions)))
        return np.column_stack([levels, bank_features(own, captions, texts, 50)])

    assert features(scale, shift) == pytest.approx(features(1.0, 0.0))


def test_bank_features_are_what_they_say() -> None:
    bank = np.arange(100, dtype=float)[None]
    ((z, margin, commonness, chance),) = bank_features(np.array([98.5]), bank, bank[0] / 100, searched=100)
    deviation = np.std(np.arange(100))
    assert z == pytest.approx((98.5 - 49.5) / deviation)
    assert margin == pytest.approx(0.0)  # the best 2 % of 100 are 98 and 99
    assert commonness == pytest.approx(z)
    assert chance == pytest.approx(np.sqrt(2 * np.log(100)))
    assert bank_features(np.array([1.0]), bank, bank[0], searched=1)[0, -1] == 0.0


def test_constant_scores_give_finite_features() -> None:
    level, spread = score_level(*bank_moments(np.full((30, 40), 0.3)))
    assert np.isfinite(library_features(np.array([0.3]), np.full(30, 0.3), level, spread)).all()
    assert np.isfinite(bank_features(np.array([0.3]), np.full((1, 40), 0.3), np.full(40, 0.3), 30)).all()


def test_the_captions_that_say_what_the_query_says_are_left_out() -> None:
    similarities = np.random.default_rng(2).permutation(200) / 200
    left = comparison_captions(similarities)
    gone = np.setdiff1d(np.arange(200), left)
    assert len(gone) == round(EXCLUDED_NEAREST_SHARE * 200)
    assert similarities[gone].min() > similarities[left].max()
    assert (np.diff(left) > 0).all()


def test_the_background_is_a_fixed_sample() -> None:
    few, many = np.arange(5, 300), np.arange(7, 50_000)
    assert background_ids(few) is few
    sample = background_ids(many)
    assert len(sample) == BACKGROUND_SIZE
    assert (np.diff(sample) > 0).all() and np.isin(sample, many).all()
    assert (sample == background_ids(many)).all()
    assert abs(sample.mean() - many.mean()) < 2000


# --- assessing ----------------------------------------------------------------------------------


def test_probabilities_are_the_logistic_of_the_features() -> None:
    model = Logistic(0.5, (1.0, -2.0))
    features = np.array([[0.0, 0.0], [3.0, 1.0], [1000.0, 0.0], [-1000.0, 0.0]])
    expected = [1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-1.5)), 1.0, 0.0]
    assert model.probabilities(features) == pytest.approx(expected)


def test_a_picture_of_the_query_is_strong_and_others_are_none() -> None:
    query, library, bank = random_unit(1, seed=3)[0], random_unit(400, seed=4), random_unit(200, seed=5)
    match = unit(query[None] + 0.3 * library[:1])
    candidates = np.concatenate([match, library[10:13]])
    found = _assess(MatchAssessor(CALIBRATION, bank), query, candidates, library)
    assert [assessment.match for assessment in found] == ["strong", "none", "none", "none"]
    assert found[0].probability > 0.95
    assert all(0 <= assessment.probability <= 1 for assessment in found)


def test_a_higher_score_never_lowers_the_probability() -> None:
    query, library, bank = random_unit(1, seed=3)[0], random_unit(100, seed=4), random_unit(200, seed=5)
    nearer = unit(library[:1] + np.linspace(0, 3, 20)[:, None] * query)
    found = _assess(MatchAssessor(load_calibration("mini"), bank), query, nearer, library)
    probabilities = [assessment.probability for assessment in found]
    assert (np.diff(probabilities) >= 0).all()
    assert probabilities[-1] > 0.9


def test_a_library_of_few_pictures_is_judged_by_the_bank_alone() -> None:
    query, library, bank = random_unit(1, seed=3)[0], random_unit(19, seed=4), random_unit(200, seed=5)
    match = unit(query[None] + 0.3 * library[:1])
    assessor = MatchAssessor(CALIBRATION, bank)
    (few,) = _assess(assessor, query, match, library)
    bank_scores = (match @ bank.T)[:, comparison_captions(bank @ query)]
    features = bank_features(match @ query, bank_scores, bank @ query, 19)
    levels = library_features(match @ query, library @ query, *score_level(*bank_moments(library @ bank.T)))
    expected = CALIBRATION.bank.probabilities(np.column_stack([levels[:, 1:], features]))
    assert few.probability == pytest.approx(expected[0], abs=1e-6)
    (only,) = _assess(assessor, query, match, match)
    assert 0 <= only.probability <= 1


def test_half_precision_embeddings_are_assessed_like_whole_ones() -> None:
    query, library, bank = random_unit(1, seed=3)[0], random_unit(100, seed=4), random_unit(200, seed=5)
    assessor = MatchAssessor(CALIBRATION, bank)
    whole = _assess(assessor, query, library[:9], library)
    half = _assess(assessor, query, library[:9].astype(np.float16), library.astype(np.float16))
    for one, other in zip(whole, half, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=0.005)


# --- the files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["mini", "ViT-B-32-256/datacomp_s34b_b86k", "local-dir:../..", "..", "", "unknown"])
def test_every_model_has_a_calibration_that_is_sane(spec: str) -> None:
    calibration = load_calibration(spec)
    assert calibration.model == "mini"
    assert 0 < calibration.possible < calibration.strong < 1
    for model, names in ((calibration.library, LIBRARY_FEATURES), (calibration.bank, BANK_FEATURES)):
        assert len(model.coefficients) == len(names)
        assert np.isfinite(model.coefficients).all()
        by_name = dict(zip(names, model.coefficients, strict=True))
        assert by_name["level"] > 0
    if spec != "mini":
        assert not calibration.prompt_ensemble  # was not measured there


def test_the_shipped_figures_keep_their_word() -> None:
    raw = json.loads((data_dir() / "calibration" / "mini.json").read_text(encoding="utf-8"))
    for kind in ("names", "nouns", "phrases"):
        measured = raw["measured"][kind]
        assert measured["strong"]["precision"] > 0.8 > measured["possible"]["precision"], kind
        assert measured["calibration_error"] < 0.08, kind
        assert measured["auc"] > measured["cosine_auc"] - 0.005, kind  # it orders results as well as cosines do


def test_the_bundled_model_has_its_bank_at_hand() -> None:
    raw = json.loads((data_dir() / "calibration" / "mini.json").read_text(encoding="utf-8"))
    manifest = read_manifest(data_dir() / "models" / "mini")
    assert raw["fingerprint"] == manifest.fingerprint, "the model has changed: make calibrate"
    assert raw["bank_file"] == bank_name(manifest.fingerprint, generic_captions()), "make calibrate"
    encoder = CountingEncoder()
    encoder.fingerprint, encoder.dim = manifest.fingerprint, manifest.dim
    bank = caption_bank(encoder)
    assert encoder.asked == []
    assert bank.shape == (len(generic_captions()), manifest.dim) and bank.dtype == np.float32
    assert np.linalg.norm(bank, axis=1) == pytest.approx(1.0, abs=2e-3)


def test_a_calibration_survives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "calibration"
    folder.mkdir()
    (folder / "default.json").write_text(calibration_json(CALIBRATION, note="more"), encoding="utf-8")
    monkeypatch.setattr("clipsearch.retrieval.relevance.logistic.data_dir", lambda: tmp_path)
    assert load_calibration("any") == CALIBRATION


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        '{"format": 99}',
        calibration_json(CALIBRATION).replace('"bank_z"', '"other"'),
        calibration_json(CALIBRATION).replace('"strong"', '"weak"'),
    ],
)
def test_a_damaged_calibration_is_a_model_error(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calibration").mkdir()
    if content is not None:
        (tmp_path / "calibration" / "default.json").write_text(content, encoding="utf-8")
    monkeypatch.setattr("clipsearch.retrieval.relevance.logistic.data_dir", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"default\.json"):
        load_calibration("any")


# --- the bank -----------------------------------------------------------------------------------


def test_the_captions_are_many_and_different() -> None:
    captions = generic_captions()
    assert len(captions) >= 250
    assert len({caption.lower() for caption in captions}) == len(captions)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIPSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "banks"


def test_a_bank_is_embedded_once(cache: Path) -> None:
    encoder = CountingEncoder()
    first = caption_bank(encoder)
    second = caption_bank(encoder)
    assert len(encoder.asked) == len(generic_captions())
    assert (first == second).all() and first.dtype == np.float32
    assert [path.name for path in cache.iterdir()] == [bank_name(encoder.fingerprint, generic_captions())]


def test_other_weights_or_captions_make_another_bank(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CountingEncoder()
    caption_bank(encoder)
    encoder.fingerprint = "fedcba9876543210"
    caption_bank(encoder)
    monkeypatch.setattr(bank_module, "generic_captions", lambda: ("a cat", "a dog"))
    assert caption_bank(encoder).shape == (2, DIM)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"junk", b"\x93NUMPY\x01\x00", "half"])
def test_a_damaged_bank_is_made_again(cache: Path, damage: bytes | str) -> None:
    encoder = CountingEncoder()
    whole = caption_bank(encoder)
    (path,) = cache.iterdir()
    path.write_bytes(damage if isinstance(damage, bytes) else path.read_bytes()[: path.stat().st_size // 2])
    assert (caption_bank(encoder) == whole).all()
    assert len(encoder.asked) == 2 * len(generic_captions())


def test_a_bank_of_another_shape_or_with_holes_is_made_again(cache: Path) -> None:
    encoder = CountingEncoder()
    whole = caption_bank(encoder)
    (path,) = cache.iterdir()
    for wrong in (np.zeros((3, DIM), np.float16), np.full(whole.shape, np.nan, np.float16), whole):
        write_bank(path, wrong)
        assert (caption_bank(encoder) == whole).all()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLIPSEARCH_CACHE", str(tmp_path / "file"))
    assert caption_bank(CountingEncoder()).shape == (len(generic_captions()), DIM)


# --- fitting ------------------------------------------------------------------------------------


def made_up_queries(images: FloatMatrix, rng: np.random.Generator) -> Queries:
    """Queries near pictures of their own, some of which are near every picture, as in real models."""
    count = 120
    level = rng.uniform(0.3, 1.5, size=(count, 1))
    middle = images.mean(axis=0) / np.linalg.norm(images.mean(axis=0))
    embeddings = unit(images[:count] + level * middle + 0.12 * rng.normal(size=(count, DIM)))
    truth = np.full((count, len(images)), NO, np.int8)
    truth[np.arange(count), np.arange(count)] = YES
    truth[:, -5:] = UNCLEAR
    return Queries("made up", tuple(map(str, range(count))), embeddings, truth, np.arange(count) // 2)


def test_the_fit_finds_the_answer_and_its_thresholds_keep_their_word() -> None:
    rng = np.random.default_rng(0)
    images, bank = random_unit(300, seed=1), random_unit(100, seed=2)
    queries = made_up_queries(images[:250], rng)
    results = draw_results(queries, images[:250], images[250:], bank, rng=rng, sizes=(30, 300))

    assert set(results.size) == {30, 300}
    assert (results.holds[results.size == 300] == 1).all(), "a library of all pictures holds each query's own"
    assert not results.right[results.holds == 0].any()
    probabilities = fitting.out_of_fold(results.features, results)
    assert roc_auc_score(results.right, probabilities) > 0.9
    strong = fitting.strong_threshold(probabilities, results.right)
    possible = fitting.possible_threshold(probabilities, results)
    assert possible < strong
    assert results.right[probabilities >= strong].mean() >= fitting.STRONG_PRECISION
    found = set(results.search[results.right & (probabilities >= possible)])
    assert len(found) >= 0.89 * len(set(results.search[results.right]))
    assert fitting.calibration_error(probabilities, results.right) < 0.05
    figures = fitting.measured(probabilities, results, strong=strong, possible=possible)
    assert figures["strong"]["precision"] == pytest.approx(results.right[probabilities >= strong].mean(), abs=1e-4)


def test_pictures_of_which_nothing_is_known_are_no_examples() -> None:
    images, bank, query = random_unit(60, seed=1), random_unit(100, seed=2), random_unit(1, seed=3)
    truth = np.full((1, 40), UNCLEAR, np.int8)
    truth[0, :10] = NO
    queries = Queries("made up", ("q",), query, truth, np.zeros(1, np.int64))
    results = draw_results(queries, images[:40], images[40:], bank, rng=np.random.default_rng(0), sizes=(60,))
    nearest = np.argsort(-(images @ query[0]))[:20]
    assert len(results.right) == (nearest < 10).sum() and not results.right.any()


def test_the_fit_gives_what_a_search_gives() -> None:
    """The features of a result are those that `MatchAssessor` makes of the same library."""
    images, bank, query = random_unit(60, seed=1), random_unit(100, seed=2), random_unit(1, seed=3)
    queries = Queries("made up", ("q",), query, np.full((1, 60), NO, np.int8), np.zeros(1, np.int64))
    results = draw_results(queries, images, images[:0], bank, rng=np.random.default_rng(0), sizes=(1000,))
    nearest = images[np.argsort(-(images @ query[0]))[:20]]
    assessed = _assess(MatchAssessor(CALIBRATION, bank), query[0], nearest, images)
    expected = CALIBRATION.library.probabilities(results.features)
    assert [item.probability for item in assessed] == pytest.approx(expected.tolist(), abs=1e-6)


def test_no_threshold_is_better_than_a_wrong_one() -> None:
    with pytest.raises(ValueError, match=r"precision of 0\.9"):
        fitting.strong_threshold(np.linspace(0, 1, 10), np.arange(10) < 5)


def test_searching_needs_no_scikit_learn() -> None:
    import subprocess

    names = "clipsearch.retrieval.relevance.calibration, clipsearch.retrieval.prompts"
    code = f"import {names}, sys; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
