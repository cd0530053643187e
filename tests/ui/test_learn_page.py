"""The learn page, as `streamlit.testing` runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clipsearch.library import Library
from tests.conftest import ColourEncoder, save_photo
from ui import shared
from ui import strings_learn as strings
from ui.sections.learn.training import read_progress

LIMIT_S = 60.0


def script() -> None:
    from ui.pages.learn import page

    page()


@pytest.fixture
def app(indexed: Library) -> Iterator[AppTest]:
    shared.configure(indexed.path, encoder=ColourEncoder())
    yield AppTest.from_function(script, default_timeout=LIMIT_S)
    shared.configure()


def opened(app: AppTest, section: str) -> AppTest:
    app.session_state["learn_section"] = section
    return well(app.run())


def well(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].message
    return app


def click(app: AppTest, label: str) -> AppTest:
    button = next(button for button in app.button if button.label == label)
    return well(button.click().run())


def texts(app: AppTest) -> str:
    kinds = (app.text, app.caption, app.markdown, app.info, app.error, app.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def add_concept(app: AppTest, name: str, positives: str) -> AppTest:
    app.text_input(key="learn_concept_name").set_value(name)
    app.text_area(key="learn_concept_positives").set_value(positives)
    return click(app, strings.ADD_BUTTON)


def test_a_concept_is_taught_and_taught_more(app: AppTest, indexed: Library, photos: Path) -> None:
    opened(app, strings.CONCEPTS)
    assert strings.NO_CONCEPTS in texts(app)
    add_concept(app, "rose", str(photos / "red.png"))
    assert strings.CONCEPT_LINE.format(name="rose") in texts(app)
    assert indexed.search("@rose", k=1)[0].path == photos / "red.png"
    click(app, strings.CONCEPT_SUGGEST)
    assert any(button.label == strings.CONFIRM for button in app.button)
    click(app, strings.REJECT)
    assert indexed.concepts.get("rose").negatives == 1
    click(app, strings.CONFIRM)
    assert indexed.concepts.get("rose").positives == 2
    click(app, strings.SUGGESTIONS_CLOSE)
    assert not any(button.label == strings.CONFIRM for button in app.button)
    click(app, strings.CONCEPT_REMOVE)
    assert indexed.concepts.all() == []


def test_a_wrong_concept_is_told_in_one_line(app: AppTest, indexed: Library) -> None:
    opened(app, strings.CONCEPTS)
    add_concept(app, "rose", "/nowhere/at all.png")
    assert len(app.error) == 1 and "all" in app.error[0].value
    assert indexed.concepts.all() == []


def test_tags_are_given_and_found(app: AppTest, indexed: Library, photos: Path) -> None:
    opened(app, strings.TAGS)
    assert strings.NO_TAGS in texts(app)
    indexed.tags.set("crete", photos / "red.png")
    indexed.tags.set("*work*", photos / "blue.png")
    app.run()
    labels = [button.label for button in app.button]
    assert "crete (1)" in labels
    assert not any("*work*" in label for label in labels), "a name is no Markdown"
    app.text_input(key="learn_tag_find").set_value("cre").run()
    assert [button.label for button in well(app).button][1:] == ["crete (1)"]


def test_pictures_are_sorted_by_labels(app: AppTest) -> None:
    opened(app, strings.CLASSIFY)
    app.text_input(key="learn_labels").set_value("red, blue")
    click(app, strings.CLASSIFY_BUTTON)
    headings = [heading.value for heading in app.subheader]
    assert [heading.split(":")[0] for heading in headings] == ["red", "blue"]
    assert sum(int(heading.split(":")[1]) for heading in headings) == 6
    app.text_input(key="learn_labels").set_value("red")
    click(app, strings.CLASSIFY_BUTTON)
    assert len(app.error) == 1


def test_a_training_is_followed(app: AppTest, tmp_path: Path) -> None:
    work = tmp_path / "model" / "training"
    work.mkdir(parents=True)
    record = {"epoch": 1, "loss": 2.5, "validation": {"at_10": 0.5}}
    progress = {
        "epoch": 2,
        "epochs": 4,
        "step": 5,
        "steps": 10,
        "history": [{**record, "epoch": 0, "loss": None}, record],
    }
    (work / "progress.json").write_text(json.dumps(progress))
    opened(app, strings.TRAINING)
    app.text_input(key="learn_training_folder").set_value(str(tmp_path / "model")).run()
    assert [heading.value for heading in well(app).subheader] == [strings.LOSS, strings.HIT_RATE]
    app.text_input(key="learn_training_folder").set_value(str(tmp_path)).run()
    assert strings.NO_TRAINING in texts(well(app))


@pytest.mark.parametrize("content", ["", "[]", "{", '{"epoch": 1}', "\x00"])
def test_what_is_no_training_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "progress.json").write_text(content)
    assert read_progress(tmp_path) is None
    assert read_progress(save_photo(tmp_path / "a.png", "red")) is None


def test_others_cannot_have_a_concept_taught_by_any_file_of_the_server(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    shared.configure(indexed.path, encoder=ColourEncoder(), reads_any_picture=False)
    app = AppTest.from_function(script, default_timeout=LIMIT_S)
    well(app.run())
    elsewhere = save_photo(tmp_path / "elsewhere.png", "red")
    add_concept(app, "redness", str(elsewhere))
    assert "is not in the library" in texts(app) and not indexed.concepts.all()
    add_concept(app, "redness", f"{photos / 'red.png'}")
    assert [concept.name for concept in indexed.concepts.all()] == ["redness"]
    shared.configure()
