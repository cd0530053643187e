"""``clipsearch evaluate`` and its subcommands: tables, JSON, plots, comparisons, and what they say about bad input."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from clipsearch.cli import cli
from clipsearch.errors import ConfigError
from clipsearch.evaluation import Bootstrap, evaluate_retrieval
from clipsearch.evaluation.few_shot import LINEAR_PROBE, ZERO_SHOT, evaluate_few_shot
from clipsearch.evaluation.plots import check_plot_path, plot_reports
from clipsearch.models.encoder import FloatMatrix
from tests.conftest import ColourEncoder, LoadWith, save_photo

COLOURS = ("red", "green", "blue")


class Blind(ColourEncoder):
    """A model that takes every picture for another one, whatever it shows."""

    spec = "blind"

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> FloatMatrix:
        guesses = [np.random.default_rng(zlib.crc32(own.tobytes())).integers(0, 256, own.shape) for own in pixels]
        return super().encode_pixels(np.array(guesses, dtype=np.uint8))


class Seeing(ColourEncoder):
    spec = "colours"


class Misnaming(ColourEncoder):
    """A model that sees colours and calls them by wrong names, so that only examples help."""

    spec = "misnaming"

    def encode_texts(self, texts: Sequence[str]) -> FloatMatrix:
        wrong = {"red": "green", "green": "blue", "blue": "red"}
        return super().encode_texts([wrong.get(text.split()[-1], text) for text in texts])


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_with: LoadWith) -> Path:
    """Photos with a table of captions and one of labels: eight of each colour, and one that is missing."""
    models = {"colours": Seeing, "blind": Blind, "misnaming": Misnaming}
    load_with(lambda spec, **_: models[spec]())
    monkeypatch.setattr("clipsearch.evaluation.few_shot._REGULARISATIONS", (1.0, 100.0))  # fewer fits, to be quick
    rng = np.random.default_rng(2)
    rows = []
    for number in range(8):
        for place, colour in enumerate(COLOURS):
            rgb = np.where(np.arange(3) == place, 230, 20) + rng.integers(-20, 20, 3)
            save_photo(tmp_path / "photos" / f"{colour}-{number}.png", tuple(rgb.tolist()))
            rows.append(f"{colour}-{number}.png\t{colour}")
    (tmp_path / "labels.tsv").write_text("\n".join(["image\tlabel", *rows, "gone.png\tred"]) + "\n")
    return tmp_path


def run(photos: Path, *arguments: str, table: str = "--labels") -> Result:
    """Run a command over the fixture's photos; the subcommand, if any, comes first."""
    subcommands = [word for word in arguments[:1] if not word.startswith("-")]
    rest = arguments[len(subcommands) :]
    common = [table, str(photos / "labels.tsv"), "--images", str(photos / "photos"), "--resamples", "200"]
    return CliRunner().invoke(cli, ["evaluate", *subcommands, *common, *rest], catch_exceptions=False)


COMMANDS: list[tuple[tuple[str, ...], str, str]] = [
    ((), "--captions", "text-to-image hit rate @1"),
    (("labels",), "--labels", "ensemble top-1"),
    (("few-shot", "--shots", "1,2", "--draws", "2"), "--labels", "blended probe, 2 shots"),
    (("robustness", "--severity", "1"), "--captions", "grey: text-to-image hit rate @1"),
    (("overlap", "--training", "{photos}/photos"), "--captions", "all: text-to-image hit rate @1"),
]


@pytest.mark.long
@pytest.mark.parametrize(("arguments", "table", "measure"), COMMANDS, ids=lambda value: str(value)[:30])
def test_every_evaluation_writes_a_table_json_and_a_plot(
    photos: Path, arguments: tuple[str, ...], table: str, measure: str
) -> None:
    filled = [argument.format(photos=photos) for argument in arguments]
    plain = run(photos, *filled, "--model", "colours", "--plot", str(photos / "plot.svg"), table=table)
    assert plain.exit_code == 0, plain.stderr
    assert f"\n{measure} " in plain.stdout
    assert "95 % interval" in plain.stdout
    assert re.search(r"^intervals +200 resamples of (pictures|draws .*), seed 0$", plain.stdout, flags=re.MULTILINE)
    assert "skipping gone.png: no such file or directory" in plain.stderr
    assert (photos / "plot.svg").read_text().startswith("<?xml")

    machine = run(photos, *filled, "--model", "colours", "--json", table=table)
    report = json.loads(machine.stdout)
    figures = {figure["name"]: figure for figure in report["figures"]}
    assert 0 <= figures[measure]["low"] <= figures[measure]["value"] + 1e-9
    assert figures[measure]["value"] <= figures[measure]["high"] + 1e-9 <= 1 + 1e-9
    assert (report["model"], report["resamples"], report["seed"]) == ("colours", 200, 0)
    assert report["skipped"] == [{"image": "gone.png", "reason": "no such file or directory"}]


@pytest.mark.long
@pytest.mark.parametrize(("arguments", "table", "measure"), COMMANDS, ids=lambda value: str(value)[:30])
def test_every_evaluation_compares_two_models(
    photos: Path, arguments: tuple[str, ...], table: str, measure: str
) -> None:
    filled = [argument.format(photos=photos) for argument in arguments]
    plot = photos / "both.png"
    plain = run(photos, *filled, "--compare", "blind", "colours", "--plot", str(plot), table=table)
    assert plain.exit_code == 0, plain.stderr
    assert plain.stdout.startswith("A         blind\nB         colours\n")
    assert f"\n{measure} " in plain.stdout and "McNemar p" in plain.stdout
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG" and min(drawn.size) > 200

    both = json.loads(run(photos, *filled, "--compare", "blind", "colours", "--json", table=table).stdout)
    assert (both["first"]["model"], both["second"]["model"]) == ("blind", "colours")
    by_name = {found["name"]: found for found in both["differences"]}
    values = [
        next(one["value"] for one in both[side]["figures"] if one["name"] == measure) for side in ("first", "second")
    ]
    assert by_name[measure]["value"] == pytest.approx(values[1] - values[0])
    assert 0 < by_name[measure]["p_value"] <= 1


def test_the_present_call_has_its_fields(photos: Path) -> None:
    report = json.loads(run(photos, "--model", "colours", "--json", table="--captions").stdout)
    figures = {figure["name"]: figure["value"] for figure in report["figures"]}
    assert report["hit_rate_at_1"] == figures["text-to-image hit rate @1"]
    assert report["hit_rate_at_5"] == figures["text-to-image hit rate @5"]
    assert report["hit_rate_at_10"] == figures["text-to-image hit rate @10"]
    assert report["mean_reciprocal_rank"] == figures["text-to-image MRR"]
    assert (report["queries"], report["images"]) == (24, 24)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize(
    "models", [("--model", "colours"), pytest.param(("--compare", "blind", "colours"), marks=pytest.mark.long)]
)
def test_the_heatmap_is_drawn(photos: Path, suffix: str, models: tuple[str, ...]) -> None:
    drawn = photos / f"heatmap{suffix}"
    done = run(photos, *models, "--heatmap", str(drawn), table="--captions")
    assert done.exit_code == 0, done.stderr
    assert drawn.stat().st_size > 1000


@pytest.mark.long
def test_the_same_figures_draw_the_same_file(photos: Path) -> None:
    report = evaluate_retrieval(ColourEncoder(), photos / "labels.tsv", photos / "photos")
    for suffix in ("png", "svg"):
        paths = [photos / f"{number}.{suffix}" for number in range(2)]
        for path in paths:
            plot_reports(path, [report], Bootstrap(100))
        assert paths[0].read_bytes() == paths[1].read_bytes()


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("--model", "colours", "--compare", "blind", "colours"), 2, "--model cannot be combined with --compare"),
    ((), 2, "missing option '--model'"),
    (("--model", "colours", "--plot", "figures.pdf"), 1, "a plot is written as .png or .svg, not as figures.pdf"),
    (("--model", "colours", "--plot", "nowhere/figures.png"), 1, "the folder nowhere does not exist"),
    (("--model", "colours", "--heatmap", "map.gif"), 1, "not as map.gif"),
    (("--model", "colours", "--resamples", "5"), 2, "5 is not in the range"),
    (("--model", "colours", "--template", "a photo"), 1, "has no {}"),
    (("labels", "--model", "colours", "--prompt", "a photo"), 1, "--prompt"),
    (("labels", "--model", "colours", "--templates", "nowhere.txt"), 1, "nowhere.txt"),
    (("few-shot", "--model", "colours", "--shots", "1,two"), 2, "1,two is not a list of positive numbers"),
    (("few-shot", "--model", "colours"), 1, "use fewer shots"),
    (("robustness", "--model", "colours", "--severity", "9"), 2, "9 is not in the range"),
    (("overlap", "--model", "colours"), 1, "specify the training set"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG, ids=lambda value: str(value)[:50])
def test_bad_input_is_one_line(photos: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    table = "--labels" if arguments[:1] in (("labels",), ("few-shot",)) else "--captions"
    done = run(photos, *arguments, table=table)
    assert done.exit_code == status
    lines = [line for line in done.stderr.splitlines() if not line.startswith("embedding ")]
    assert len(lines) == 1 and message in lines[0], done.stderr
    assert done.stdout == ""


def test_options_before_a_subcommand_are_not_lost() -> None:
    done = CliRunner().invoke(cli, ["evaluate", "--model", "mini", "labels"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "put --model after labels" in done.stderr


@pytest.mark.parametrize("missing", ["--captions", "--images"])
def test_what_is_missing_is_said(photos: Path, missing: str) -> None:
    given = {"--captions": str(photos / "labels.tsv"), "--images": str(photos / "photos"), "--model": "colours"}
    del given[missing]
    done = CliRunner().invoke(cli, ["evaluate", *(word for pair in given.items() for word in pair)])
    assert done.exit_code == 2 and f"missing option '{missing}'" in done.stderr


def test_a_plot_that_cannot_be_written_is_one_line(photos: Path) -> None:
    report = evaluate_retrieval(ColourEncoder(), photos / "labels.tsv", photos / "photos")
    (photos / "taken.png").mkdir()
    with pytest.raises(ConfigError, match=r"cannot write the plot .*taken\.png: (is a directory|permission denied)"):
        plot_reports(photos / "taken.png", [report], Bootstrap(100))
    check_plot_path(photos / "new.PNG")


# ── few-shot ──────────────────────────────────────────────────────────────────


def few_shot(photos: Path, encoder: ColourEncoder, **options: Any) -> Any:
    settings: dict[str, Any] = {"shots": (1, 3), "draws": 3, **options}
    return evaluate_few_shot(encoder, photos / "labels.tsv", photos / "photos", **settings)


def test_examples_mend_wrong_names(photos: Path) -> None:
    report = few_shot(photos, Misnaming())
    assert report.value(ZERO_SHOT) == 0.0 and report.value("zero-shot, same pictures") == 0.0
    assert report.value("linear probe, 3 shots") == 1.0
    assert report.value(LINEAR_PROBE) == 1.0
    contrasts = {found.name: found for found in report.differences(Bootstrap(200))}
    assert contrasts["linear probe over zero-shot, all labels"].verdict == "higher"
    assert contrasts["linear probe over zero-shot, 3 shots"].value == 1.0
    assert report.curves()["blended probe"] == ("blended probe, 1 shot", "blended probe, 3 shots")
    assert (report.classes, report.queries) == (COLOURS, 15), "five of each are left for testing"


@pytest.mark.long
def test_draws_follow_the_seed(photos: Path) -> None:
    reports = [few_shot(photos, Blind(), seed=seed) for seed in (0, 0, 1)]
    for name in ("linear probe, 1 shot", LINEAR_PROBE):
        first, again, other = (report.measurement(name).values.tolist() for report in reports)
        assert first == again != other
    assert len(reports[0].measurement("linear probe, 1 shot").values) == 3


def test_one_draw_has_no_interval(photos: Path) -> None:
    with pytest.raises(ConfigError, match="at least 2 draws"):
        few_shot(photos, ColourEncoder(), draws=1)
