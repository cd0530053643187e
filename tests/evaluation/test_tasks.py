"""Retrieval in both directions, labels, robustness and overlap, against references over whole matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageStat

from clipsearch.errors import ConfigError
from clipsearch.evaluation import Bootstrap, compare, evaluate_retrieval, labels, pair_similarities, ranking
from clipsearch.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corruption
from clipsearch.evaluation.labels import evaluate_labels
from clipsearch.evaluation.overlap import evaluate_overlap
from clipsearch.evaluation.robustness import MEASURES, evaluate_robustness
from clipsearch.models.encoder import FloatMatrix
from tests.conftest import ColourEncoder, save_photo
from tests.photo_variants import cropped, scaled
from tests.retrieval.test_duplicates import scene

Write = Callable[..., Path]
COLOURS = ("red", "green", "blue", "yellow", "white", "black", "orange", "purple")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_table(*rows: str, columns: str = "image\tcaption", name: str = "table.tsv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
        return path

    return write_table


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in COLOURS:
        save_photo(tmp_path / "photos" / f"{colour}.png", colour)
    return tmp_path / "photos"


def places(scores: NDArray[np.floating], relevant: list[list[int]]) -> list[list[int]]:
    """Simple reference: ranks of the relevant items, after all irrelevant items with the same score."""
    found = []
    for row, own in zip(scores, relevant, strict=True):
        order = sorted(range(len(row)), key=lambda item: (-row[item], item in own))
        found.append([place for place, item in enumerate(order, start=1) if item in own])
    return found


def embeddings(photos: Path, names: list[str]) -> FloatMatrix:
    encoder = ColourEncoder()
    return encoder.encode_images([Image.open(photos / name).convert("RGB") for name in names])


def test_both_directions_equal_the_full_matrix(photos: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "SCORES_PER_BLOCK", 30)  # several blocks
    rng = np.random.default_rng(5)
    rows = [(f"{COLOURS[own]}.png", str(rng.choice(COLOURS))) for own in rng.integers(0, len(COLOURS), 40)]
    report = evaluate_retrieval(ColourEncoder(), write(*("\t".join(row) for row in rows)), photos)

    names = list(dict.fromkeys(image for image, _ in rows))
    scores = ColourEncoder().encode_texts([text for _, text in rows]) @ embeddings(photos, names).T
    to_images = places(scores, [[names.index(image)] for image, _ in rows])
    to_texts = places(scores.T, [[row for row, (image, _) in enumerate(rows) if image == name] for name in names])
    for prefix, found in (("text-to-image", to_images), ("image-to-text", to_texts)):
        for k in (1, 5, 10):
            assert report.value(f"{prefix} hit rate @{k}") == pytest.approx(np.mean([own[0] <= k for own in found]))
            recall = [sum(place <= k for place in own) / len(own) for own in found]
            assert report.value(f"{prefix} recall @{k}") == pytest.approx(np.mean(recall))
        assert report.value(f"{prefix} MRR") == pytest.approx(np.mean([1 / own[0] for own in found]))
        precision = [np.mean([(i + 1) / place for i, place in enumerate(own)]) for own in found]
        assert report.value(f"{prefix} mAP") == pytest.approx(np.mean(precision))
    assert report.hit_rate_at_5 == report.value("text-to-image hit rate @5")
    assert [figure.queries for figure in report.figures(Bootstrap(100))] == [40] * 9 + [len(names)] * 9


def test_intervals_resample_images(photos: Path, write: Write) -> None:
    table = write(*(f"{colour}.png\t{colour if number else 'black'}" for colour in COLOURS for number in range(5)))
    report = evaluate_retrieval(ColourEncoder(), table, photos)
    groups = report.measurement("text-to-image MRR").groups
    assert groups.tolist() == [row // 5 for row in range(40)]
    figure = report.figures(Bootstrap(200))[0]
    assert figure.low <= figure.value <= figure.high


class Blind(ColourEncoder):
    """A model that embeds all images alike."""

    spec = "blind"

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        return super().encode_pixels(np.full_like(pixels, 90))


def test_two_models_are_compared_measure_by_measure(photos: Path, write: Write) -> None:
    table = write(*(f"{colour}.png\t{colour}" for colour in COLOURS))
    sees, blind = (evaluate_retrieval(encoder, table, photos) for encoder in (ColourEncoder(), Blind()))
    differences = {found.name: found for found in compare(blind, sees, Bootstrap(500))}
    assert list(differences) == [found.name for found in sees.measurements]
    best = differences["text-to-image hit rate @1"]
    assert blind.hit_rate_at_1 == 0.0, "all pictures tie, which counts against the model"
    assert (best.value, best.verdict) == (sees.hit_rate_at_1, "higher")
    assert best.mcnemar_p == pytest.approx(2 * 0.5 ** round(8 * sees.hit_rate_at_1))


def test_models_with_different_queries_are_not_compared(photos: Path, write: Write) -> None:
    first = evaluate_retrieval(ColourEncoder(), write("red.png\tred", "blue.png\tblue"), photos)
    second = evaluate_retrieval(ColourEncoder(), write("red.png\tred", "gone.png\tblue"), photos)
    with pytest.raises(ConfigError, match="evaluated on different queries"):
        compare(first, second, Bootstrap(100))


def test_similarities_of_pairs_have_each_picture_once(photos: Path, write: Write) -> None:
    table = write(*(f"{colour}.png\t{word} {colour}" for colour in COLOURS for word in ("first", "second")))
    texts, cosines = pair_similarities(ColourEncoder(), table, photos, pairs=3)
    assert texts == ["first red", "first yellow", "first purple"]
    expected = embeddings(photos, ["red.png", "yellow.png", "purple.png"]) @ ColourEncoder().encode_texts(texts).T
    assert cosines == pytest.approx(expected, abs=1e-5)
    assert len(pair_similarities(ColourEncoder(), table, photos)[0]) == len(COLOURS)


# ── labels ────────────────────────────────────────────────────────────────────


class Hears(ColourEncoder):
    """Understands colors only in a prompt; a bare word is embedded as grey."""

    def encode_texts(self, texts: list[str]) -> FloatMatrix:
        return super().encode_texts([text if text.startswith("a photo") else "grey" for text in texts])


def labeled(photos: Path, write: Write) -> Path:
    for colour in COLOURS[:4]:
        save_photo(photos / f"second-{colour}.png", colour, size=(40, 40))
    rows = [f"{colour}.png\t{colour}" for colour in COLOURS]
    return write(*rows, *(f"second-{colour}.png\t{colour}" for colour in COLOURS[:4]), columns="image\tlabel")


def test_labels_equal_the_full_matrix(photos: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "SCORES_PER_BLOCK", 30)
    table = labeled(photos, write)
    templates = ("a photo of {}", "a photo, {}")
    report = evaluate_labels(Hears(), table, photos, prompt=templates[0], templates=templates)

    names = [f"{colour}.png" for colour in COLOURS] + [f"second-{colour}.png" for colour in COLOURS[:4]]
    truth = [*range(8), *range(4)]
    pictures = embeddings(photos, names)
    scores = pictures @ ColourEncoder().encode_texts(COLOURS).T
    expected = places(scores, [[number] for number in truth])
    for way in ("one prompt", "ensemble"):
        for k in (1, 5):
            assert report.value(f"{way} top-{k}") == pytest.approx(np.mean([own[0] <= k for own in expected]))
    assert report.value("bare labels top-1") == 0.0, "all classes tie"

    between = pictures @ pictures.T
    np.fill_diagonal(between, -np.inf)
    asked = [row for row, number in enumerate(truth) if number < 4]
    same = [[other for other, number in enumerate(truth) if number == truth[row] and other != row] for row in asked]
    found = places(between[asked], same)
    assert report.measurement("image-to-image mAP").groups.tolist() == asked
    assert report.value("image-to-image mAP") == pytest.approx(np.mean([1 / own[0] for own in found]))
    assert report.value("image-to-image hit rate @1") == pytest.approx(np.mean([own[0] == 1 for own in found]))

    contrasts = {found.name: found for found in report.differences(Bootstrap(300))}
    assert contrasts["one prompt over bare labels, top-1"].verdict == "higher"
    assert contrasts["ensemble over one prompt, top-1"].verdict == "no clear difference"
    assert [(one.label, one.images, one.top_1["bare labels"]) for one in report.classes][:1] == [("red", 2, 0.0)]
    assert report.classes[-1].image_map is None, "there is no other picture of that label"


def test_a_picture_with_two_labels_is_right_with_either(photos: Path, write: Write) -> None:
    table = write("red.png\tred", "red.png\tblue", "blue.png\tblue", "green.png\tgreen", columns="image\tlabel")
    report = evaluate_labels(ColourEncoder(), table, photos, prompt="{}", templates=["{}"])
    assert (report.queries, report.value("bare labels top-1")) == (3, 1.0)
    assert report.measurement("image-to-image mAP").groups.tolist() == [0, 1]
    assert [(one.label, one.images) for one in report.classes] == [("red", 1), ("blue", 2), ("green", 1)]


def test_without_a_shared_label_there_is_no_image_to_image_figure(photos: Path, write: Write) -> None:
    table = write("red.png\tred", "blue.png\tblue", columns="image\tlabel")
    report = evaluate_labels(ColourEncoder(), table, photos, prompt="{}", templates=["{}"])
    assert not [found for found in report.measurements if found.name.startswith("image-to-image")]


def test_a_single_label_is_refused(photos: Path, write: Write) -> None:
    table = write("red.png\tred", "blue.png\tred", columns="image\tlabel")
    with pytest.raises(ConfigError, match="only one label, red"):
        evaluate_labels(ColourEncoder(), table, photos, prompt="{}", templates=["{}"])


# ── robustness ────────────────────────────────────────────────────────────────


def sharpness(image: Image.Image) -> float:
    return float(np.abs(np.diff(np.asarray(image.convert("L"), np.float32), axis=0)).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_are_repeatable_and_stronger_when_severe(name: str) -> None:
    photo = scene(3).convert("RGB")
    seen = photo.resize((64, round(64 * photo.height / photo.width)) if photo.width < photo.height else photo.size)
    changed = [corruption(name, severity, side=min(seen.size))(seen, "a.jpg") for severity in SEVERITIES]
    again = corruption(name, 3, side=min(seen.size))(seen, "a.jpg")
    assert again.tobytes() == changed[2].tobytes()
    assert {image.size for image in changed} == {seen.size} and {image.mode for image in changed} == {"RGB"}
    away = [np.abs(np.asarray(image, np.float32) - np.asarray(seen, np.float32)).mean() for image in changed]
    assert away[0] > 0
    if name == "grey":
        assert len(set(away)) == 1
        assert len(set(ImageStat.Stat(changed[0]).mean)) == 1
    else:
        assert away[-1] > away[0]
    if name in ("blur", "resize"):
        assert sharpness(changed[-1]) < sharpness(changed[0]) < sharpness(seen)


def test_noise_depends_on_the_picture_and_the_seed() -> None:
    photo = Image.new("RGB", (32, 32), (128, 128, 128))
    one, other = (corruption("noise", 1, side=32)(photo, name).tobytes() for name in ("a", "b"))
    assert len({one, other, corruption("noise", 1, side=32, seed=1)(photo, "a").tobytes()}) == 3


def test_large_images_are_scaled_to_the_input_size() -> None:
    assert corruption("grey", 1, side=100)(Image.new("RGB", (800, 400)), "a").size == (200, 100)
    assert corruption("grey", 1, side=100)(Image.new("RGB", (80, 40)), "a").size == (80, 40)


def test_the_gap_to_clean(photos: Path, write: Write) -> None:
    table = write(*(f"{colour}.png\t{colour}" for colour in COLOURS))
    steps: list[str] = []
    report = evaluate_robustness(
        ColourEncoder(), table, photos, severity=1, progress=lambda what, done, total: steps.append(what)
    )
    clean = evaluate_retrieval(ColourEncoder(), table, photos)
    for measure in MEASURES:
        assert report.value(f"clean: {measure}") == clean.value(measure)
    gaps = {found.name: found for found in report.differences(Bootstrap(200))}
    assert len(gaps) == len(CORRUPTIONS) * len(MEASURES)
    measure = MEASURES[0]
    assert gaps[f"grey: {measure}"].value < -0.3, "the model sees only colors"
    assert gaps[f"blur: {measure}"].value == 0.0, "images of one color cannot be blurred"
    assert "images, rotation" in steps


@pytest.mark.parametrize(
    ("options", "message"),
    [({"corruptions": ["fog"]}, "unknown corruption fog; available are blur"), ({"severity": 6}, "1 to 5, not 6")],
)
def test_unknown_corruptions_are_refused(photos: Path, write: Write, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate_robustness(ColourEncoder(), write("red.png\tred"), photos, **options)  # type: ignore[arg-type]


# ── overlap ───────────────────────────────────────────────────────────────────


@pytest.fixture
def scenes(tmp_path: Path) -> tuple[Path, Path]:
    """Eight evaluation photos; a training folder has a copy, a smaller version and a crop of the first three."""
    photos, training = tmp_path / "scenes", tmp_path / "training"
    (training / "deeper").mkdir(parents=True)
    photos.mkdir()
    pictures = [scene(seed).convert("RGB") for seed in range(16)]
    for number, picture in enumerate(pictures[:8]):
        picture.save(photos / f"{number}.png")
    pictures[0].save(training / "copy.png")
    scaled(pictures[1], 0.5).save(training / "deeper" / "small.jpg")
    cropped(pictures[2], 0.9, 0.9, Random(1)).save(training / "crop.png")
    for number, picture in enumerate(pictures[8:]):
        picture.save(training / f"other-{number}.png")
    (training / "notes.txt").write_text("no picture")
    return photos, training


def test_overlap_is_found_and_excluded(scenes: tuple[Path, Path], write: Write) -> None:
    photos, training = scenes
    table = write(*(f"{number}.png\tscene {word}" for number in range(8) for word in ("red", "blue")))
    report = evaluate_overlap(ColourEncoder(dim=64), table, photos, training=training)
    assert [(one.image, one.training) for one in report.seen] == [
        ("0.png", ("copy.png",)),
        ("1.png", (str(Path("deeper", "small.jpg")),)),
        ("2.png", ("crop.png",)),
    ]
    assert (report.images, report.training_images) == (8, 11)
    whole = evaluate_retrieval(ColourEncoder(dim=64), table, photos)
    name = "text-to-image hit rate @5"
    hits = whole.measurement(name).values
    assert report.value(f"all: {name}") == whole.value(name)
    assert report.value(f"overlap only: {name}") == pytest.approx(hits[:6].mean())
    assert report.value(f"without overlap: {name}") == pytest.approx(hits[6:].mean())
    assert report.details()["overlap"] == 3 / 8


def test_another_model_has_the_same_overlap(scenes: tuple[Path, Path], write: Write) -> None:
    photos, training = scenes
    table = write(*(f"{number}.png\tred" for number in range(8)))
    known = evaluate_overlap(ColourEncoder(dim=64), table, photos, training=training)
    second = evaluate_overlap(ColourEncoder(), table, photos, training=training, known=known)
    assert second.seen == known.seen
    assert len(compare(known, second, Bootstrap(100))) == len(known.measurements)


def test_a_split_can_be_the_training_set(scenes: tuple[Path, Path], write: Write) -> None:
    photos, _ = scenes
    (photos / "again.png").write_bytes((photos / "5.png").read_bytes())
    rows = [f"{number}.png\tdev\tred" for number in range(8)]
    table = write(*rows, "again.png\ttrain\tred", columns="image\tsplit\tcaption")
    report = evaluate_overlap(ColourEncoder(dim=64), table, photos, split="dev", training_split="train")
    assert [one.image for one in report.seen] == ["5.png"]


def test_no_overlap(scenes: tuple[Path, Path], write: Write) -> None:
    photos, training = scenes
    report = evaluate_overlap(ColourEncoder(dim=64), write("6.png\tred", "7.png\tblue"), photos, training=training)
    assert report.seen == ()
    assert not [found for found in report.measurements if found.name.startswith("overlap only")]


@pytest.mark.parametrize("which", [{}, {"training": Path("nowhere")}, {"training": Path(), "training_split": "x"}])
def test_an_invalid_training_set(photos: Path, write: Write, which: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="training set"):
        evaluate_overlap(ColourEncoder(), write("red.png\tred"), photos, **which)  # type: ignore[arg-type]


def test_a_training_folder_without_images(photos: Path, write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="has no images"):
        evaluate_overlap(ColourEncoder(), write("red.png\tred"), photos, training=tmp_path / "empty")
