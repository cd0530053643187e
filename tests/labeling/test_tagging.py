"""Tags of a library: given by the model, kept current, overruled by a person, filtered by, exported and dropped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch.catalog.tags import TagCount, TagRecord
from clipsearch.errors import ConfigError, ModelError
from clipsearch.labeling import tagging
from clipsearch.labeling.tag_scores import TagScorer, load_tag_calibration, tag_calibration_json
from clipsearch.library import Library
from clipsearch.retrieval.relevance.logistic import Logistic
from clipsearch.system.file_lock import writer_lock
from tests.conftest import COLOURS, ColourEncoder, Notes, OpenCatalog, save_photo

VOCABULARY = "name\tsynonyms\tgroup\nred\tscarlet\tcolours\ngreen\nblue\nyellow\nwhite\nblack\n"


@pytest.fixture(autouse=True)
def calibration_of_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calibration for photographs does not fit plain colors: accept only the very best word."""
    fitted = replace(
        load_tag_calibration("mini"),
        library=Logistic(3.0, (0.0, 0.0, 0.0, 50.0)),
        words=Logistic(3.0, (0.0, 50.0)),
        threshold=0.5,
        words_threshold=0.5,
    )
    monkeypatch.setattr(tagging, "load_tag_calibration", lambda _: fitted)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.tsv"
    file.write_text(VOCABULARY, encoding="utf-8")
    return file


@pytest.fixture
def tagged(indexed: Library, words: Path) -> Library:
    indexed.tags.assign(vocabulary=words)
    return indexed


def tags_at(library: Library, path: Path) -> list[str]:
    return [item.tag for item in library.tags.of(library.browse.content_of(path))]


def names(library: Library, query: str) -> set[str]:
    return {result.path.stem for result in library.search(query, k=50)}


def test_pictures_get_the_words_that_fit_them(tagged: Library, photos: Path) -> None:
    assert tags_at(tagged, photos / "red.png") == ["red"]
    assert tags_at(tagged, photos / "blue.png") == ["blue"]
    (record,) = tagged.tags.of(tagged.browse.content_of(photos / "green.png"))
    assert record.source == "model" and record.score is not None and 0.3 < record.score <= 1.0


def test_tags_are_filters_facets_and_details(tagged: Library, photos: Path) -> None:
    assert names(tagged, "tag:red") == {"red"}
    assert names(tagged, "tag:scarlet") == {"red"}, "the vocabulary's own synonyms are folded"
    assert names(tagged, "tag:Reds") == {"red"}
    assert names(tagged, "not tag:red") == {"green", "blue", "yellow", "white", "black"}
    assert names(tagged, "tag:red or tag:blue") == {"red", "blue"}
    assert names(tagged, "blue tag:red") == {"red"}
    assert names(tagged, "tag:dinosaur") == set()
    counts = {value.value: value.count for value in tagged.browse.facets().tags}
    assert counts["red"] == 1
    assert [value.value for value in tagged.browse.facets("tag:blue").tags] == ["blue"]
    assert tagged.browse.picture(tagged.browse.content_of(photos / "red.png")).tags == ("red",)
    assert tagged.tags.counts("tag:blue") == [TagCount("blue", 1, 0)]


@pytest.mark.long
def test_a_person_wins_over_the_model_for_ever(tagged: Library, photos: Path, words: Path) -> None:
    red, blue = photos / "red.png", photos / "blue.png"
    assert tagged.tags.unset("scarlet", red) == "red"
    assert tagged.tags.set("Red", blue) == "red"
    tagged.tags.set("my wall", blue)
    for _ in range(2):
        assert tags_at(tagged, red) == []
        assert tagged.tags.of(tagged.browse.content_of(blue))[:2] == [
            TagRecord("my wall", "person"),
            TagRecord("red", "person"),
        ]
        assert tags_at(tagged, blue) == ["my wall", "red", "blue"]
        assert names(tagged, "tag:red") == {"blue"}
        assert names(tagged, 'tag:"my wall"') == {"blue"}
        assert tagged.tags.counts()[0].tag in {"black", "blue"} and TagCount("red", 1, 1) in tagged.tags.counts()
        tagged.tags.assign(vocabulary=words)  # the model says what it said before
    tagged.tags.drop()
    assert tags_at(tagged, blue) == ["my wall", "red"]
    tagged.tags.assign(vocabulary=words)
    tagged.tags.reset("red", red, blue)
    assert names(tagged, "tag:red") == {"red"}


def test_a_picture_is_named_by_file_or_hash_and_must_be_there(tagged: Library, photos: Path, tmp_path: Path) -> None:
    digest = tagged.browse.content_of(photos / "red.png")
    assert tagged.browse.content_of(f"~#{digest[:10]}") == digest
    stranger = save_photo(tmp_path / "stranger.png", "orange")
    for picture in (stranger, tmp_path / "gone.png", "~#ffffffffff"):
        with pytest.raises(ConfigError, match="the library has no picture"):
            tagged.tags.set("red", picture)


def test_a_picture_whose_file_is_gone_is_known_by_its_path(tagged: Library, photos: Path) -> None:
    digest = tagged.browse.content_of(photos / "red.png")
    (photos / "red.png").unlink()
    assert tagged.browse.content_of(photos / "red.png") == digest


def test_new_pictures_are_tagged_when_they_are_indexed(tagged: Library, photos: Path) -> None:
    save_photo(photos / "second red.png", (250, 5, 5))
    tagged.index(photos)
    assert tags_at(tagged, photos / "second red.png") == ["red"]


def test_only_new_pictures_are_looked_at(tagged: Library, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    tags = TagScorer.tags

    def counted(scorer: TagScorer, pictures: np.ndarray) -> list[list[tuple[int, float]]]:
        seen.append(len(pictures))
        return tags(scorer, pictures)

    monkeypatch.setattr(TagScorer, "tags", counted)
    tagged.index(photos)
    assert seen == [], "nothing is new"
    save_photo(photos / "second.png", (250, 5, 5))
    tagged.index(photos)
    assert seen == [1]
    for number in range(9):
        save_photo(photos / f"more {number}.png", (10 * number, 250, 5))
    tagged.index(photos)
    assert seen == [1, 16], "there are more than twice as many as when all were compared with each other"


def test_another_vocabulary_or_method_tags_everything_anew(
    tagged: Library, photos: Path, words: Path, open_catalog: OpenCatalog
) -> None:
    words.write_text("crimson\nred\n", encoding="utf-8")
    tagged.index(photos)
    assert names(tagged, "tag:blue") == {"blue"}, "the catalog keeps the vocabulary that it was tagged by"
    store, model, progress = open_catalog(tagged), tagged.active_model(), tagged.tags.progress()
    assert model is not None and progress is not None
    store.tags.set_progress(model.id, replace(progress, digest="another method"))
    report = tagging.keep_tags_current(store, model, encoder=ColourEncoder)
    assert report is not None and report.everything and report.pictures == 6


def test_a_library_that_was_never_tagged_stays_so(indexed: Library, photos: Path) -> None:
    save_photo(photos / "second.png", "red")
    indexed.index(photos)
    assert indexed.tags.counts() == []
    assert indexed.tags.drop() == 0


def test_the_shipped_vocabulary_works_too(indexed: Library, photos: Path) -> None:
    report = indexed.tags.assign()
    assert report.words > 2000 and report.pictures == 6 and report.everything
    assert all(count.images <= 6 for count in indexed.tags.counts())


def test_indexing_goes_on_where_another_process_holds_the_lock(
    tagged: Library, photos: Path, notes: Notes, open_catalog: OpenCatalog
) -> None:
    save_photo(photos / "second.png", "red")
    tagged.index(photos)
    store, model, progress = open_catalog(tagged), tagged.active_model(), tagged.tags.progress()
    assert model is not None and progress is not None
    store.tags.set_progress(model.id, replace(progress, digest="old"))
    with writer_lock(store.directory):
        tagged.tags.keep_current()
    assert any("another process is writing" in line for line in notes)


def test_tags_follow_the_vocabulary_to_another_model(
    prepared: Path, tagged: Library, photos: Path, open_library: Callable[..., Library]
) -> None:
    tagged.tags.set("mine", photos / "red.png")
    tagged.close()
    other = ColourEncoder(dim=24, fingerprint="f" * 16)
    other.spec = "RN50/openai"
    library = open_library(encoder=other, load_encoder=lambda _: other)
    library.migrate("RN50/openai", drop_old=True)
    assert names(library, "tag:blue") == {"blue"}
    assert tags_at(library, photos / "red.png") == ["mine", "red"]
    assert [space.model.spec for space in library.status().spaces] == ["RN50/openai"]


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_tags_move_with_an_export(
    tagged: Library, photos: Path, tmp_path: Path, form: str, open_library: Callable[..., Library]
) -> None:
    tagged.tags.set("mine", photos / "red.png")
    tagged.tags.unset("red", photos / "red.png")
    tagged.maintenance.export(tmp_path / "export", format=form)
    other = open_library(tmp_path / "other")
    other.maintenance.import_from(tmp_path / "export")
    assert names(other, "tag:mine") == {"red"}, "though the vocabulary of this library takes a mine for a quarry"
    assert names(other, "tag:red") == set()
    assert names(other, "tag:blue") == {"blue"}
    other.tags.set("green", photos / "red.png")
    other.tags.reset("mine", photos / "red.png")
    other.maintenance.import_from(tmp_path / "export")
    assert tags_at(other, photos / "red.png") == ["green", "mine"]


def test_what_is_held_survives_compacting_and_the_rest_goes(tagged: Library, photos: Path) -> None:
    gone = tagged.browse.content_of(photos / "blue.png")
    tagged.tags.set("mine", photos / "red.png", photos / "blue.png")
    tagged.maintenance.forget(photos / "blue.png")
    assert [count for count in tagged.tags.counts() if count.tag == "mine"] == [TagCount("mine", 1, 1)]
    tagged.maintenance.compact()
    assert tagged.tags.of(gone) == []
    assert tags_at(tagged, photos / "red.png") == ["mine", "red"]
    assert not tagged.maintenance.check().findings


def test_a_picture_has_the_tags_that_its_own_are_kinds_of(indexed: Library, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    kinds = "warm\t\t\tcolour\ncolour\n"
    rows = [f"{name}\t\t\t{'warm' if name in ('red', 'yellow') else ''}" for name in COLOURS]
    file.write_text("name\tsynonyms\tgroup\tkind of\n" + "\n".join(rows) + "\n" + kinds, encoding="utf-8")
    indexed.tags.assign(vocabulary=file)
    assert sorted(tags_at(indexed, photos / "red.png")) == ["colour", "red", "warm"]
    assert names(indexed, "tag:colour") == names(indexed, "tag:warm") == {"red", "yellow"}
    indexed.tags.unset("warm", photos / "red.png")
    assert names(indexed, "tag:warm") == {"yellow"}
    scores = {item.score for item in indexed.tags.of(indexed.browse.content_of(photos / "yellow.png"))}
    assert len(scores) == 1, "the general word is as probable as the kind of it"


def test_a_large_library_is_compared_with_itself() -> None:
    """A word that fits every picture of a library a little says less of each than one that fits only one."""
    random = np.random.default_rng(0)
    words = random.normal(size=(60, 32)).astype(np.float32)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    pictures = random.normal(size=(40, 32)).astype(np.float32) + 2.0 * words[0]
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    alone, compared = (
        TagScorer(load_tag_calibration("mini"), words, background).probabilities(pictures)
        for background in (pictures[:0], pictures)
    )
    assert alone.shape == compared.shape == (40, 60)
    assert ((compared >= 0) & (compared <= 1)).all()
    order = np.argsort(-(pictures @ words.T), axis=1)
    rows = np.arange(40)
    assert (compared[rows, order[:, 0]] > compared[rows, order[:, 20]]).all()


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibration = load_tag_calibration("mini")
    assert load_tag_calibration("ViT-B-32/openai") == load_tag_calibration("nothing fitted")
    (tmp_path / "calibration").mkdir()
    monkeypatch.setattr("clipsearch.retrieval.relevance.logistic.data_dir", lambda: tmp_path)
    file = tmp_path / "calibration" / "tags-mini.json"
    file.write_text(tag_calibration_json(calibration, measured={}), encoding="utf-8")
    assert load_tag_calibration("mini") == calibration
    raw = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**raw, "format": 99}), encoding="utf-8")
    with pytest.raises(ModelError, match="format 99"):
        load_tag_calibration("mini")
