"""The explore page, as `streamlit.testing` runs it: its three views, and what a selection leads to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from clipsearch.browse.embedding_map import EmbeddingMap
from clipsearch.catalog.facets import FacetValue
from clipsearch.library import Library
from tests.conftest import ColourEncoder, save_photo
from ui import shared
from ui import strings_explore as strings
from ui.pages.explore import VIEW
from ui.sections.explore import charts
from ui.sections.explore.charts import COLORS, drawn_rows, group_colors, map_data
from ui.sections.explore.embedding_map import GROUP, region_line
from ui.sections.explore.timeline import MONTHS, PERIOD, bars_of, picked_months, timeline_data
from ui.sections.explore.world import PLACE, selected_places

LIMIT_S = 60.0

TRAVELS = (
    ("crete-1.jpg", "red", "2021:06:01 10:00:00", (35.302, 25.102)),
    ("crete-2.jpg", "orange", "2021:06:20 10:00:00", (35.306, 25.106)),
    ("oslo.jpg", "blue", "2022:01:02 10:00:00", (59.9, 10.7)),
    ("somewhere.jpg", "green", None, None),
)


def script() -> None:
    from ui.pages.explore import page

    page()


def save_travel(folder: Path, name: str, colour: str, taken: str | None, place: tuple[float, float] | None) -> None:
    path = save_photo(folder / name, colour)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    if place:
        latitude, longitude = ((float(int(value)), value % 1 * 60, 0.0) for value in place)
        exif[0x8825] = {1: "N", 2: latitude, 3: "E", 4: longitude}
    with Image.open(path) as opened:
        opened.save(path, exif=exif)


@pytest.fixture(scope="module")
def travels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("travels")
    for travel in TRAVELS:
        save_travel(folder / "photos", *travel)
    with Library.open(folder / "library", create=True, encoder=ColourEncoder()) as library:
        library.index(folder / "photos")
    return folder / "library"


@pytest.fixture
def app(travels: Path) -> Iterator[AppTest]:
    shared.configure(travels, encoder=ColourEncoder())
    yield AppTest.from_function(script, default_timeout=LIMIT_S)
    shared.configure()


def well(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].message
    return app


def in_view(app: AppTest, view: str) -> AppTest:
    app.session_state[VIEW] = view
    return well(app.run())


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_an_empty_library_says_so(tmp_path: Path) -> None:
    Library.open(tmp_path / "library", create=True).close()
    shared.configure(tmp_path / "library")
    app = well(AppTest.from_function(script, default_timeout=LIMIT_S).run())
    assert [info.value for info in app.info] == [strings.EMPTY]
    shared.configure()


def test_the_map_names_its_groups_and_a_group_can_be_chosen_without_a_pointer(app: AppTest) -> None:
    well(app.run())
    options = app.selectbox(key=GROUP).options
    assert len(options) == 2  # of four pictures
    assert sum(int(option.rpartition("(")[2][:-1]) for option in options) == len(TRAVELS)
    well(app.selectbox(key=GROUP).select_index(0).run())
    assert any(label.startswith(strings.SHOW_SELECTED.split("{")[0]) for label in labels(app)) or (
        strings.SHOW_SELECTED_ONE in labels(app)
    )
    assert [heading.value for heading in app.subheader] == [strings.SELECTED]


def test_months_that_are_chosen_are_counted_and_shown(app: AppTest) -> None:
    in_view(app, strings.TIMELINE)
    slider = app.select_slider(key=f"{MONTHS}_0")
    assert slider.value == ("2021-06", "2022-01")
    assert strings.UNDATED.format(files="1 file") in [caption.value for caption in app.caption]
    assert not app.subheader, "nothing is selected yet"
    well(slider.set_range("2021-06", "2021-07").run())
    assert strings.SHOW_SELECTED.format(count=2) in labels(app)
    well(app.segmented_control(key=PERIOD).set_value(True).run())
    assert app.select_slider(key=f"{MONTHS}_0").value == ("2021-06", "2021-07")


def test_a_place_that_is_chosen_takes_in_what_is_close(app: AppTest) -> None:
    in_view(app, strings.WORLD)
    options = app.selectbox(key=PLACE).options
    assert len(options) == 2
    assert options[0] == "Irákleion, Crete, Greece (2)"
    well(app.selectbox(key=PLACE).select_index(0).run())
    assert strings.SHOW_SELECTED.format(count=2) in labels(app)


def test_pictures_without_dates_or_places_leave_the_other_views_empty(indexed: Library) -> None:
    shared.configure(indexed.path, encoder=ColourEncoder())
    app = AppTest.from_function(script, default_timeout=LIMIT_S)
    for view, said in ((strings.TIMELINE, strings.NO_DATES), (strings.WORLD, strings.NO_PLACES)):
        assert [info.value for info in in_view(app, view).info] == [said]
    shared.configure()


# --- what the charts send, and what they are sent -----------------------------------------------


@pytest.mark.parametrize(
    ("corners", "line"),
    [
        ([[0.1, 0.2], [0.4, 0.5]], "region:0.1,0.2,0.4,0.5@pca1"),
        ([[0.1, 0.2], [0.4, 0.5], [-0.2, 1.4]], "region:0.1,0.2,0.4,0.5,0,1@pca1"),
        (None, ""),
        ([[0.1, 0.2]], ""),
        ([[0.0, 0.0]] * 51, ""),
    ],
)
def test_a_selection_on_the_map_is_a_region(corners: object, line: str) -> None:
    assert region_line(corners, "pca1").replace('"', "") == line


def test_picked_bars_are_months() -> None:
    months = [f"2020-{month:02}" for month in range(3, 13)] + ["2021-01", "2021-02"]
    values = [FacetValue("2020-03", 2), FacetValue("2021-02", 5)]
    by_month, by_year = (bars_of(values, months, yearly=yearly) for yearly in (False, True))
    assert by_year == [("2020-01", "2020-12", 2), ("2021-01", "2021-12", 5)]
    assert [count for _, _, count in by_month] == [2, *[0] * 10, 5]
    assert picked_months([2, 3], by_month, months) == ("2020-05", "2020-06")
    assert picked_months([3, 3], by_month, months) == ("2020-06", "2020-06")
    assert picked_months([0, 0], by_year, months) == ("2020-03", "2020-12")
    assert picked_months([1, 1], by_year, months) == ("2021-01", "2021-02")


@pytest.mark.parametrize("sent", [None, [], [1], [1, 2, 3], [3, 2], [0, 12], [-1, 2], ["0", "1"], "0,1", {"0": 1}])
def test_what_no_timeline_sends_chooses_all(sent: object) -> None:
    months = [f"2020-{month:02}" for month in range(1, 13)]
    assert picked_months(sent, bars_of([], months, yearly=False), months) == ("2020-01", "2020-12")


def test_the_timeline_is_sent_bar_by_bar() -> None:
    bars = [("2020-11", "2020-11", 2), ("2020-12", "2020-12", 0), ("2021-01", "2021-01", 1500)]
    data = timeline_data(bars, ("2020-12", "2021-01"), yearly=False)
    assert [bar["label"] for bar in data["bars"]] == [
        "November 2020: 2 files",
        "December 2020: 0 files",
        "January 2021: 1,500 files",
    ]
    assert (data["first"], data["last"]) == (1, 2)
    years = timeline_data([("2020-01", "2020-12", 2), ("2021-01", "2021-12", 3)], ("2021-03", "2021-03"), yearly=True)
    assert [bar["label"] for bar in years["bars"]] == ["2020: 2 files", "2021: 3 files"]
    assert (years["first"], years["last"]) == (1, 1)


def test_selected_spots_are_a_circle(travels: Path) -> None:
    with Library.open(travels, encoder=ColourEncoder()) as library:
        line = selected_places({"points": [{"x": 25.104, "y": 35.304}]}, library.browse.places())
        assert library.browse.facets(line).total == 2
        everywhere = selected_places(
            {"points": [{"x": 25.104, "y": 35.304}, {"x": 10.7, "y": 59.9}]}, library.browse.places()
        )
        assert library.browse.facets(everywhere).total == 3
        assert selected_places({"points": []}, library.browse.places()) == ""


def drawn_map(pictures: int, groups: int) -> EmbeddingMap:
    rng = np.random.default_rng(1)
    return EmbeddingMap(
        points=rng.random((pictures, 2), np.float32),
        content_hashes=np.array([f"{number:032x}".encode() for number in range(pictures)]),
        clusters=rng.integers(0, groups, pictures).astype(np.int16),
        directions=np.ones((groups, 4), np.float32),
        method="umap",
        drawing="umap7",
    )


def test_the_map_is_sent_group_by_group(app: AppTest) -> None:
    shown = drawn_map(1000, 9)
    data = map_data(shown, [f"group {number}, more" for number in range(9)])
    points = np.frombuffer(base64.b64decode(data["points"]), "<u2").reshape(-1, 2) / 65535
    at = 0
    for group, sent in enumerate(data["groups"]):
        own = points[at : at + sent["count"]]
        np.testing.assert_allclose(own, shown.points[shown.clusters == group], atol=1e-5)
        at += sent["count"]
    assert at == 1000
    assert {name["text"] for name in data["names"]} == {f"group {number}" for number in range(9)}


def test_a_map_of_very_many_pictures_is_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "MOST_DRAWN", 100)
    assert drawn_rows(99).tolist() == list(range(99))
    rows = drawn_rows(1000)
    assert len(set(rows.tolist())) == 100
    np.testing.assert_array_equal(rows, drawn_rows(1000))


def test_neighbouring_groups_have_different_colours() -> None:
    centres = np.array([[x, 0] for x in np.linspace(0, 1, 2 * len(COLORS))], np.float32)
    colours = group_colors(centres)
    assert set(colours) == set(COLORS)
    assert all(one != other for one, other in pairwise(colours))
    assert len(group_colors(np.array([[np.nan, np.nan], [0.5, 0.5]], np.float32))) == 2
