"""The world map of the places where pictures were taken, and a selected area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from clipsearch.browse.places import PicturePlaces, circle_around
from clipsearch.query import Condition
from clipsearch.system.optional_packages import has_extra
from ui import strings_explore as strings
from ui.plain import plain
from ui.sections.explore.charts import chart_config, world_figure
from ui.sections.explore.selected import current_theme, selected
from ui.shared import library

CHART, PLACE, SELECTED = "explore_world", "explore_place", "explore_near"

_STEP = 0.01
"""Side of a spot, in degrees: about a kilometer."""

_MOST_PLACES = 100


def world_section() -> None:
    """Show the map and its selection."""
    places = library().browse.places()
    if not len(places):
        st.info(strings.NO_PLACES, icon=":material/info:")
        return
    spots, counts, names = places.spots(step=_STEP)
    names = [known or coordinates(*spot) for known, spot in zip(names, spots.tolist(), strict=True)]
    st.caption(strings.WORLD_HELP)
    _choose_place(places, spots, counts, names)
    if has_extra("map", "plotly"):
        st.plotly_chart(
            world_figure(spots, counts, names, current_theme()),
            key=CHART,
            on_select=lambda: _select(selected_places(st.session_state[CHART].selection, places)),
            selection_mode=("points", "box", "lasso"),
            config=chart_config(),
            alt=world_alt(counts, names),
        )
    else:
        st.caption(plain(strings.WORLD_EXTRA))
    line = st.session_state.get(SELECTED)
    if line:
        selected(line, key="explore_world_selected")


def selected_places(selection: Mapping[str, Any], places: PicturePlaces) -> str:
    """The filter for a circle around the selected spots; empty for no selection.

    Args:
        selection: the selection of Streamlit.
        places: places of the pictures.
    """
    points = [(float(point["y"]), float(point["x"])) for point in selection["points"]]
    return near_line(np.array(points), places) if points else ""


def near_line(spots: NDArray[np.float64], places: PicturePlaces) -> str:
    """The filter for a circle around all pictures of spots, degrees north and east, float64 [n, 2]."""
    (south, west), (north, east) = spots.min(axis=0) - _STEP, spots.max(axis=0) + _STEP
    around = places.within(south, west, north, east).places
    return str(Condition("near", "in", circle_around(around if len(around) else spots)))


def coordinates(latitude: float, longitude: float) -> str:
    """Formatted latitude and longitude.

    >>> coordinates(35.333, -25.1)
    '35.33° N, 25.1° W'
    """
    north = strings.NORTH if latitude >= 0 else strings.SOUTH
    east = strings.EAST if longitude >= 0 else strings.WEST
    return f"{north.format(degrees=round(abs(latitude), 2))}, {east.format(degrees=round(abs(longitude), 2))}"


def world_alt(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """Alternative text of the map."""
    busiest = names[int(counts.argmax())]
    return strings.WORLD_ALT.format(count=f"{int(counts.sum()):,}", spots=f"{len(counts):,}", most=busiest)


def _select(line: str) -> None:
    st.session_state[SELECTED] = line
    if line:
        st.session_state[PLACE] = None


def _choose_place(
    places: PicturePlaces, spots: NDArray[np.float64], counts: NDArray[np.int64], names: Sequence[str]
) -> None:
    def name(spot: int) -> str:
        return strings.PLACE_OPTION.format(place=names[spot], count=f"{counts[spot]:,}")

    def chosen() -> None:
        spot = st.session_state[PLACE]
        st.session_state[SELECTED] = near_line(spots[[spot]], places) if spot is not None else ""

    st.selectbox(
        strings.PLACE,
        np.argsort(-counts, kind="stable")[:_MOST_PLACES].tolist(),
        index=None,
        format_func=name,
        key=PLACE,
        placeholder=strings.ANY_PLACE,
        on_change=chosen,
        width=360,
    )
