"""Zero-shot classification of folders and libraries, with accuracy."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import ConfigError, QueryError
from clipsearch.labeling.classification import Classification, folder_truth, listed_truth
from clipsearch.library import Library
from indexer.embed_folder import embed_files, pictures_in
from tests.conftest import ColourEncoder, Notes, Run, save_photo


@pytest.fixture
def sorted_photos(tmp_path: Path) -> Path:
    """Folders named after what is in them, one picture in the wrong one, and a file that is no picture."""
    folder = tmp_path / "sorted"
    for colour in ("red", "blue"):
        for number in range(2):
            save_photo(folder / colour / f"{number}.png", colour)
    save_photo(folder / "blue" / "wrong.png", "red")
    (folder / "blue" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture
def run(run: Run) -> Run:
    """Runs ``clipsearch classify``."""
    return partial(run, "classify")


def test_the_pictures_of_a_query_get_probabilities(indexed: Library) -> None:
    found = indexed.classify("ext:png", ["red", "green", "blue", "yellow"], templates=["a photo of {a}"])
    assert {path.stem: picture.labels[0].name for path, picture in zip(found.paths, found.best(1), strict=True)} == {
        colour: colour for colour in ("red", "green", "blue", "yellow")
    }
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    assert len(indexed.classify("red", ["red", "blue"], limit=3).paths) == 3


@pytest.mark.parametrize(
    ("query", "labels", "templates", "error"),
    [
        ("red", ["red"], ["{}"], ConfigError),
        ("red", ["red", "blue"], ["no place"], ConfigError),
        ("ext:heic", ["red", "blue"], ["{}"], QueryError),
    ],
)
def test_what_cannot_be_classified_is_reported(
    indexed: Library, query: str, labels: list[str], templates: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        indexed.classify(query, labels, templates=templates)


def test_a_folder_is_embedded_as_it_is_and_what_is_broken_is_reported(sorted_photos: Path, notes: Notes) -> None:
    encoder = ColourEncoder()
    files = pictures_in(sorted_photos, notify=notes)
    paths, embeddings = embed_files(encoder, files, notify=notes)
    assert [path.relative_to(sorted_photos).as_posix() for path in paths] == [
        "blue/0.png",
        "blue/1.png",
        "blue/wrong.png",
        "red/0.png",
        "red/1.png",
    ]
    assert embeddings.shape == (5, encoder.dim)
    assert len(notes) == 1 and "broken.jpg" in notes[0]
    with pytest.raises(ConfigError, match="none of 1 pictures"):
        embed_files(encoder, pictures_in(sorted_photos / "blue" / "broken.jpg", notify=notes), notify=notes)
    (sorted_photos / "empty").mkdir()
    with pytest.raises(ConfigError, match="no pictures in"):
        pictures_in(sorted_photos / "empty", notify=notes)


def test_truth_is_found_by_the_end_of_a_path() -> None:
    paths = [Path("/a/cats/1.jpg"), Path("/a/dogs/1.jpg"), Path("/a/2.jpg"), Path("/a/3.jpg")]
    listed = {"cats/1.jpg": "cat", "1.jpg": "other", "2.jpg": "two"}
    assert listed_truth(paths, listed) == {paths[0]: "cat", paths[1]: "other", paths[2]: "two"}
    assert folder_truth(paths[:2]) == {paths[0]: "cats", paths[1]: "dogs"}


def test_accuracy_folds_case_plurals_and_underscores() -> None:
    paths = (Path("1"), Path("2"), Path("3"))
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    found = Classification("m", ("dog", "palm tree"), ("{}",), paths, probabilities)
    accuracy = found.accuracy({paths[0]: "Dogs", paths[1]: "Palm_Trees", paths[2]: "neither"})
    assert accuracy is not None
    assert (accuracy.pictures, accuracy.top1) == (2, 0.5)
    assert accuracy.confusion.tolist() == [[1, 0], [1, 0]]
    assert found.accuracy({paths[2]: "neither"}) is None


def test_a_folder_on_the_command_line_with_its_folders_as_the_truth(run: Run, sorted_photos: Path) -> None:
    done = run(sorted_photos, "--truth", "folders", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["labels"] == ["blue", "red"] and found["templates"] == ["a photo of {a}"]
    assert found["accuracy"]["pictures"] == 5 and found["accuracy"]["top1"] == 0.8
    assert found["accuracy"]["confusion"] == [[2, 1], [0, 2]]
    assert [picture["truth"] for picture in found["pictures"]] == ["blue", "blue", "blue", "red", "red"]
    assert "skipping" in done.stderr and "broken.jpg" in done.stderr


def test_a_table_for_people_ends_with_the_confusions(run: Run, sorted_photos: Path) -> None:
    done = run(sorted_photos, "--labels", "red, blue,green", "--truth", "folders", "-k", 2)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "(true: blue)" in lines[0] and "%" in lines[0]
    assert "accuracy over 5 pictures: top-1 80.0%, top-5 100.0%" in lines
    assert lines[-1].split() == ["green", "0", "0", "0"]


def test_a_query_on_the_command_line(run: Run, tmp_path: Path) -> None:
    labels, truth = tmp_path / "labels.txt", tmp_path / "truth.tsv"
    labels.write_text("red\nblue\n", encoding="utf-8")
    truth.write_text("image\tlabel\nred.png\tred\nblue.png\tred\n", encoding="utf-8")
    done = run("ext:png", "--labels-file", labels, "--truth", truth, "--template", "a drawing of a {}", "--csv")
    assert done.exit_code == 0, done.output
    rows = {Path(row["path"]).name: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert rows["red.png"]["truth"] == "red" and float(rows["red.png"]["red"]) > 0.5
    assert rows["green.png"]["truth"] == ""
    assert "top-1 50.0%" in done.stderr
    done = run("ext:png", "--labels", "red,blue", "--jsonl", "-k", 1)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 4 and all(len(record["labels"]) == 1 for record in records)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("red",), 2, "--labels is missing"),
        (("red", "--labels", "red,blue", "--labels-file", "x"), 2, "cannot be combined"),
        (("red", "--labels", "red,blue", "--json", "--csv"), 2, "cannot be combined"),
        (("red", "--labels", "red,blue", "--model", "mini"), 2, "--model requires a FOLDER"),
        (("red", "--truth", "folders"), 2, "a QUERY requires --labels"),
        (("red", "--labels", "red"), 1, "at least two labels"),
        (("red", "--labels", "red,blue", "--templates", "nowhere.txt"), 1, "cannot read the templates"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: tuple[str, ...], status: int, message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == status
    assert message in done.stderr
