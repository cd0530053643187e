"""Named concepts in exports: there and back, into libraries that have some, and what is refused."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from clipsearch.cli import cli
from clipsearch.errors import ConfigError
from clipsearch.labeling.concepts.values import ConceptDetails
from clipsearch.library import Library
from clipsearch.maintenance.transfer.concepts import CONCEPTS_NAME
from clipsearch.maintenance.transfer.manifest import FORMATS, MANIFEST_NAME, file_checksum
from tests.conftest import COLOURS, ColourEncoder, save_photo

forms = pytest.mark.parametrize("form", FORMATS)


@pytest.fixture
def taught(indexed: Library, photos: Path, tmp_path: Path) -> Library:
    """Two concepts: of pictures of the library, and of one outside of it, whose file is gone since."""
    indexed.concepts.add("warm", [photos / "red.png", photos / "yellow.png"], negatives=[photos / "blue.png"])
    outside = save_photo(tmp_path / "elsewhere" / "caf\udce9.png", (240, 20, 30))
    indexed.concepts.add("Réd thing", [outside], text="red")
    outside.unlink()
    return indexed


@pytest.fixture
def opened(open_library: Callable[..., Library], tmp_path: Path) -> Callable[[str], Library]:
    """Opens further libraries, which can load both models."""

    def open_(name: str) -> Library:
        return open_library(tmp_path / name)

    return open_


def comparable(shown: ConceptDetails) -> tuple[Any, ...]:
    """All of a concept."""
    fit = vars(shown.fit) | {"direction": shown.fit.direction.tolist()} if shown.fit is not None else None
    return shown.name, shown.text, shown.added_at, shown.examples, shown.model, fit


def signs(shown: ConceptDetails) -> dict[str, bool]:
    return {example.content_hash: example.positive for example in shown.examples}


def change(directory: Path, how: Callable[[dict[str, Any]], Any]) -> None:
    """Change the concepts of an export and give them the right checksum."""
    path = directory / CONCEPTS_NAME
    value = json.loads(path.read_text())
    how(value)
    path.write_text(json.dumps(value))
    manifest = json.loads((directory / MANIFEST_NAME).read_text())
    manifest["checksums"][CONCEPTS_NAME] = file_checksum(path)
    (directory / MANIFEST_NAME).write_text(json.dumps(manifest))


# --- there and back ---------------------------------------------------------------------------------------


@forms
def test_concepts_come_back_with_what_was_fitted(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path, form: str
) -> None:
    assert taught.maintenance.export(tmp_path / "out", format=form).concepts == 2
    other = opened("other")
    assert other.maintenance.import_from(tmp_path / "out").concepts == 2
    assert [comparable(shown) for shown in other.concepts.all()] == [
        comparable(shown) for shown in taught.concepts.all()
    ]
    assert all(shown.fit is not None for shown in other.concepts.all()), "nothing has to be fitted again"
    expected = [(found.path, found.score) for found in taught.search("@warm", k=6)]
    assert [(found.path, found.score) for found in other.search("@warm", k=6)] == expected
    other.maintenance.export(tmp_path / "again", format=form)
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert again == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert other.maintenance.import_from(tmp_path / "out").concepts == 0
    assert other.maintenance.check(full=True).is_sound


def test_a_concept_of_missing_pictures_can_be_fitted_for_another_model(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path, photos: Path
) -> None:
    """The picture outside has its preview along; those of the library are embedded from their files."""
    taught.maintenance.export(tmp_path / "out")
    other = opened("other")
    other.maintenance.import_from(tmp_path / "out")
    other.migrate("hf-hub:tests/other-colours", drop_old=True)
    assert [found.path.stem for found in other.search('@"réd thing"', k=1)] == ["red"]
    assert other.concepts.confirm("warm", photos / "red.png").positives == 2


def test_examples_that_no_file_holds_keep_their_embedding(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path, photos: Path
) -> None:
    for name in ("red.png", "yellow.png"):
        (photos / name).unlink()
    taught.index(prune=True)
    taught.maintenance.compact()
    taught.maintenance.export(tmp_path / "out")
    other = opened("other")
    report = other.maintenance.import_from(tmp_path / "out")
    assert (report.images, report.concepts) == (4, 2)
    warm = other.concepts.get("warm")
    assert [(item.path, item.in_library) for item in warm.examples if item.positive] == [(None, False)] * 2
    assert other.search("@warm", k=1)
    after = other.concepts.reject("warm", photos / "grey" / "white.jpg")
    assert after.fit is not None and after.fit.positives == 2, "fitted again to pictures that are nowhere"


@pytest.mark.long
def test_what_other_models_made_comes_along_where_they_are_known(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path
) -> None:
    taught.migrate("hf-hub:tests/other-colours")
    expected = taught.concepts.get("warm").fit
    taught.maintenance.export(tmp_path / "out")
    written = json.loads((tmp_path / "out" / CONCEPTS_NAME).read_text())
    (warm,) = (concept for concept in written["concepts"] if concept["name"] == "warm")
    specs = [written["models"][fit["model"]]["spec"] for fit in warm["fits"]]
    assert specs == ["hf-hub:tests/colours", "hf-hub:tests/other-colours"]
    other = opened("other")
    other.maintenance.import_from(tmp_path / "out")
    assert other.status().model == "hf-hub:tests/other-colours"
    fit = other.concepts.get("warm").fit
    assert fit is not None and expected is not None and np.array_equal(fit.direction, expected.direction)
    (space,) = other.status().spaces
    assert space.model.spec == "hf-hub:tests/other-colours", "no space is begun for a fit"


# --- into a library that has some -------------------------------------------------------------------------


def test_a_concept_that_is_known_gets_the_examples_that_it_lacks(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path, photos: Path
) -> None:
    taught.maintenance.export(tmp_path / "out")
    other = opened("other")
    other.index(photos)
    other.concepts.add("WARM", [photos / "blue.png", photos / "red.png"], text="warm")
    mine = signs(other.concepts.get("warm"))
    assert other.maintenance.import_from(tmp_path / "out").concepts == 2
    merged = other.concepts.get("warm")
    theirs = signs(taught.concepts.get("warm"))
    assert (merged.name, merged.text) == ("WARM", "warm")
    assert signs(merged) == {**theirs, **mine}, "what was said here wins"
    assert merged.fit is None, "it was fitted to other examples"
    assert other.search("@warm", k=1)
    again = other.concepts.get("warm").fit
    assert again is not None and (again.positives, again.negatives) == (3, 0)
    assert other.maintenance.import_from(tmp_path / "out").concepts == 0
    kept = other.concepts.get("warm").fit
    assert kept is not None and np.array_equal(kept.direction, again.direction)


def test_a_text_is_taken_over_where_there_is_none_and_the_fit_with_it(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path, photos: Path
) -> None:
    taught.concepts.confirm("réd thing", photos / "red.png")
    taught.maintenance.export(tmp_path / "out")
    other = opened("other")
    other.index(photos)
    other.concepts.add("réd THING", [photos / "red.png"])
    assert other.maintenance.import_from(tmp_path / "out").concepts == 2
    merged, theirs = other.concepts.get("réd thing"), taught.concepts.get("réd thing")
    assert (merged.text, signs(merged)) == ("red", signs(theirs))
    assert merged.fit is not None and theirs.fit is not None
    assert np.array_equal(merged.fit.direction, theirs.fit.direction), "the same examples and text: the same fit"


def test_an_export_of_before_concepts_were_kept_is_imported(
    taught: Library, opened: Callable[[str], Library], tmp_path: Path
) -> None:
    taught.maintenance.export(tmp_path / "out")
    path = tmp_path / "out" / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    del manifest["checksums"][CONCEPTS_NAME]
    path.write_text(json.dumps({**manifest, "version": 2}))
    other = opened("other")
    report = other.maintenance.import_from(tmp_path / "out")
    assert (report.images, report.concepts, other.concepts.all()) == (len(COLOURS), 0, [])


def test_the_commands_tell_how_many(taught: Library, tmp_path: Path) -> None:
    run = CliRunner().invoke
    done = run(cli, ["--library", str(taught.path), "export", str(tmp_path / "out")])
    assert done.stdout.startswith("exported   6 pictures, 6 embeddings, 6 files, 2 concepts to ")
    done = run(cli, ["--library", str(tmp_path / "new"), "import", str(tmp_path / "out")])
    assert done.stdout == "imported   6 pictures, 6 embeddings, 6 files, 2 concepts\n"


# --- what goes wrong --------------------------------------------------------------------------------------


def example(value: dict[str, Any]) -> Any:
    return value["concepts"][0]["examples"][0]


def fit(value: dict[str, Any]) -> Any:
    return value["concepts"][0]["fits"][0]


FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no list": lambda value: value.update(concepts={}),
    "no object": lambda value: value["concepts"].append(3),
    "a name that cannot be one": lambda value: value["concepts"][0].update(name="@x"),
    "a name that is none": lambda value: value["concepts"][0].update(name=""),
    "a name twice": lambda value: value["concepts"].append({**value["concepts"][0], "name": "WARM"}),
    "an empty text": lambda value: value["concepts"][0].update(text=""),
    "a text with a line break": lambda value: value["concepts"][0].update(text="a\nb"),
    "a lone surrogate": lambda value: value["concepts"][0].update(text="\ud800"),
    "a time without a zone": lambda value: value["concepts"][0].update(added_at="2026-01-01T00:00:00"),
    "no time": lambda value: value["concepts"][0].update(added_at="soon"),
    "no examples": lambda value: value["concepts"][0].update(examples=[]),
    "no positive one": lambda value: [item.update(positive=False) for item in value["concepts"][0]["examples"]],
    "an example twice": lambda value: value["concepts"][0]["examples"].append(example(value)),
    "a hash that is none": lambda value: example(value).update(content_hash="x" * 32),
    "a sign that is none": lambda value: example(value).update(positive="yes"),
    "a relative path": lambda value: example(value).update(path="../secret.png"),
    "a NUL in a path": lambda value: example(value).update(path="/a\0b"),
    "a preview that is none": lambda value: example(value).update(preview="%%%"),
    "a preview of another kind": lambda value: example(value).update(preview=base64.b64encode(b"GIF89a").decode()),
    "a damaged preview": lambda value: example(value).update(preview=base64.b64encode(b"\xff\xd8\xff").decode()),
    "a model that is not there": lambda value: example(value).update(model=1),
    "a model before the first": lambda value: example(value).update(model=-1),
    "an embedding of no model": lambda value: example(value).update(model=None),
    "an embedding that is too short": lambda value: example(value)["embedding"].pop(),
    "an embedding that is too long": lambda value: example(value).update(embedding=[1e300] * 16),
    "an embedding that is no number": lambda value: example(value)["embedding"].__setitem__(0, float("nan")),
    "a direction of no length": lambda value: fit(value).update(direction=[0.0] * 16),
    "a fit twice": lambda value: value["concepts"][0]["fits"].append(fit(value)),
    "a fit of another model": lambda value: fit(value).update(model=5),
    "a share above one": lambda value: fit(value).update(text_share=1.5),
    "a scale without end": lambda value: fit(value).update(scale=float("inf")),
    "a count below none": lambda value: fit(value).update(drawn=-1),
    "no count": lambda value: fit(value).pop("drawn"),
    "a model twice": lambda value: value["models"].append(value["models"][0]),
    "a model of no dimension": lambda value: value["models"].append({"spec": "x", "fingerprint": "y", "dim": 0}),
}


@pytest.fixture(scope="module")
def an_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with two concepts; the last one has an example outside of the library."""
    folder = tmp_path_factory.mktemp("export")
    save_photo(folder / "photos" / "red.png", "red")
    with Library.open(folder / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(folder / "photos")
        library.concepts.add("WARMER", [folder / "photos" / "red.png"])
        library.concepts.add("warm", [save_photo(folder / "outside.png", "yellow"), folder / "photos" / "red.png"])
        library.maintenance.export(folder / "out")
    return folder / "out"


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=list(FORGERIES))
def test_concepts_that_make_no_sense_are_refused_before_anything_is_changed(
    an_export: Path, tmp_path: Path, forgery: Callable[[dict[str, Any]], Any]
) -> None:
    shutil.copytree(an_export, tmp_path / "out")
    change(tmp_path / "out", lambda value: (value["concepts"].reverse(), forgery(value)))
    with Library.open(tmp_path / "other", create=True, encoder=ColourEncoder()) as other:
        with pytest.raises(ConfigError, match="is damaged") as caught:
            other.maintenance.import_from(tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert (other.concepts.all(), other.status().files) == ([], 0)
