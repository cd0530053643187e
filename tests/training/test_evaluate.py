"""``make evaluate``: the labeled sets it makes of the training photos' lists, and the report it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clipsearch.evaluation import Difference, EvaluationReport, few_shot
from clipsearch.training.mini import evaluate
from clipsearch.training.mini.evaluation_markdown import prompting_verdict
from clipsearch.training.mini.evaluation_sets import named_stamps, stamp_categories, write_labels
from tests.conftest import ColourEncoder, save_photo

COLOURS = ("red", "green", "blue")


def table(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder laid out as that of the training photos, with a few photos in each of its sets."""
    data = tmp_path / "data"
    flickr, samples, stamps = (data / name for name in ("flickr8k", "imagenet-samples", "tuxpaint-stamps"))
    for colour in COLOURS:
        for split in ("train", "dev"):
            save_photo(flickr / "images" / f"{split}-{colour}.png", colour)
        save_photo(samples / f"{colour}.png", colour)
        for folder in ("animals__birds", "food__fruit"):
            save_photo(stamps / "images" / f"{folder}__{colour}.png", colour)
        for name in ("coco", "named"):
            save_photo(data / name / "images" / f"{colour}.png", colour)
    rows = [f"{split}-{colour}.png\t{split}\tsomething {colour}" for split in ("train", "dev") for colour in COLOURS]
    table(flickr / "captions.tsv", "image\tsplit\tcaption", *rows)
    table(samples / "labels.tsv", "image\tlabel", *(f"{colour}.png\t{colour}" for colour in COLOURS))
    coco = [f"{colour}.png\tdev\ten\tsomething {colour}" for colour in COLOURS]
    table(data / "coco" / "captions.tsv", "image\tsplit\tlanguage\tcaption", *coco)
    table(data / "named" / "labels.tsv", "image\tsplit\tlabel", *(f"{c}.png\tdev\t{c}" for c in COLOURS))
    birds = [f"animals__birds__{colour}.png\tA {colour}." for colour in COLOURS]
    table(stamps / "captions.tsv", "image\tcaption", *birds, *(f"food__fruit__{c}.png\tSome {c}." for c in COLOURS))
    return data


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("A clock face.", "clock face"),
        ("Some cherries.", "cherries"),
        ("An apple core.", "apple core"),
        ("Eat your broccoli!", "eat your broccoli"),
        ("The Great Wall!", "Great Wall"),
        ("A US 5 cent piece ($.05) called a nickel.", None),
        ("A wheelie bin! Give me your trash!", None),
        ("50 Yen.", None),
    ],
)
def test_names_are_taken_from_sentences(tmp_path: Path, sentence: str, name: str | None) -> None:
    table(tmp_path / "tuxpaint-stamps" / "captions.tsv", "image\tcaption", f"a.jpg\t{sentence}")
    assert [row.text for row in named_stamps(tmp_path)] == ([] if name is None else [name])


def test_categories_are_folders(tmp_path: Path) -> None:
    rows = ["animals__birds__crow.jpg\tA crow.", "vehicles__flight__jet.jpg\tA jet.", "symbols__clock.jpg\tA clock."]
    table(tmp_path / "tuxpaint-stamps" / "captions.tsv", "image\tcaption", *rows)
    assert [row.text for row in stamp_categories(tmp_path)] == ["bird", "vehicle"]
    written = write_labels(tmp_path / "out.tsv", stamp_categories(tmp_path)).read_text(encoding="utf-8")
    assert written.splitlines() == [
        "image\tlabel",
        "animals__birds__crow.jpg\tbird",
        "vehicles__flight__jet.jpg\tvehicle",
    ]


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.01, 0.05, "**One prompt beats bare labels** for mini here (+2.0 points top-1, p 0.010)."),
        (-0.05, -0.01, "**One prompt is worse than bare labels** for mini"),
        (-0.01, 0.05, "**One prompt is not clearly different from bare labels** for mini"),
    ],
)
def test_the_verdict_says_for_which_model_not(low: float, high: float, says: str) -> None:
    pairs = ("one prompt over bare labels", "ensemble over one prompt", "ensemble over bare labels")
    found = [Difference(f"{pair}, top-1", 0.02, low, high, 0.01) for pair in pairs]
    assert prompting_verdict("mini", found).startswith(says)


@pytest.mark.long
def test_the_report_has_every_task_and_its_plot(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(*arguments: object, **options: object) -> EvaluationReport:
        return few_shot.evaluate_few_shot(*arguments, **options, shots=(1,), draws=2)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "load_encoder", lambda spec: ColourEncoder())
    monkeypatch.setattr(evaluate, "evaluate_few_shot", quickly)
    monkeypatch.setattr("clipsearch.evaluation.few_shot_curve.FEWEST_TESTED", 1)
    monkeypatch.setattr(few_shot, "_FOLDS", 3)
    monkeypatch.setattr(few_shot, "_INNER_FOLDS", 2)
    arguments = ["--data", str(data), "--output", str(tmp_path / "out"), "--model", "local-dir:x", "--resamples", "100"]
    done = CliRunner().invoke(evaluate.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "evaluation-local-dir-x.md").read_text(encoding="utf-8")
    plots = sorted(path.name for path in (tmp_path / "out").glob("*.svg"))
    assert len(plots) == text.count("\n## ") == 10
    assert all(f"]({name})" in text for name in plots)
    assert "**Ensemble is not clearly different from one prompt** for hf-hub:tests/colours here" in text
    assert "0 of 3 photos are among the 3 of the training set as well: none." in text, "plain pictures are like none"
