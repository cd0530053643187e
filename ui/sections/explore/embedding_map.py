"""The map of the embeddings: a point per picture, named groups, and selections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from clipsearch.browse.embedding_map import EmbeddingMap
from clipsearch.errors import ModelError
from clipsearch.query import Condition, Region, parse_query
from clipsearch.system.optional_packages import has_extra
from ui import strings_explore as strings
from ui.components import component
from ui.plain import plain
from ui.sections.explore.charts import drawn_rows, map_data
from ui.sections.explore.selected import selected
from ui.shared import library

CHART, GROUP, SELECTED = "explore_map", "explore_group", "explore_region"
_NAMES = "explore_names"

_MIDDLE = (15, 85)
"""Percentiles of the coordinates that bound the center of a group."""

_MOST_CORNERS = 50
_DECIMALS = 3


def map_section() -> None:
    """Show the map and its selection."""
    with st.spinner(strings.DRAWING_MAP):
        shown = library().browse.embedding_map()
    names = _names(shown)
    _state_of(shown)
    st.caption(strings.MAP_HELP)
    if not has_extra("map", "umap"):
        st.caption(plain(strings.MAP_EXTRA))
    _choose_group(shown, names)
    data = map_data(shown, names) | {
        "alt": map_alt(shown, names),
        "words": strings.MAP_WORDS,
        "selected": _selected_corners(shown),
    }

    def picked() -> None:
        line = region_line(st.session_state[CHART].picked, shown.drawing)
        st.session_state[SELECTED] = line
        if line:
            st.session_state[GROUP] = None

    component("scatter")(key=CHART, data=data, on_picked_change=picked)
    drawn = len(drawn_rows(len(shown)))
    if drawn < len(shown):
        st.caption(strings.MAP_SAMPLED.format(shown=f"{drawn:,}", count=f"{len(shown):,}"))
    line = st.session_state.get(SELECTED)
    if line:
        selected(line, key="explore_map_selected")


def region_line(corners: Any, drawing: str) -> str:
    """The filter of a selection; empty for no or an invalid selection.

    Args:
        corners: x and y from 0 to 1: two corners of a rectangle, or more of a polygon.
        drawing: the identifier of the map.
    """
    if not isinstance(corners, list) or not 2 <= len(corners) <= _MOST_CORNERS:
        return ""
    return _line([(float(x), float(y)) for x, y in corners], drawing)


def middle_of(shown: EmbeddingMap, group: int) -> str:
    """The filter for the center of a group, without outliers."""
    points = shown.points[shown.clusters == group]
    low, high = np.percentile(points, _MIDDLE, axis=0).tolist()
    step = 10**-_DECIMALS  # rounding must not exclude a point
    return _line([(low[0] - step, low[1] - step), (high[0] + step, high[1] + step)], shown.drawing)


def map_alt(shown: EmbeddingMap, names: Sequence[str]) -> str:
    """Alternative text: number of pictures and largest groups."""
    counts = np.bincount(shown.clusters, minlength=len(names))
    largest = [
        strings.MAP_ALT_GROUP.format(name=names[group], count=f"{counts[group]:,}")
        for group in np.argsort(-counts, kind="stable")[:8].tolist()
    ]
    groups = int((counts > 0).sum())
    return strings.MAP_ALT.format(count=f"{len(shown):,}", groups=groups, largest=" ".join(largest))


def _line(corners: Sequence[tuple[float, float]], drawing: str) -> str:
    inside = tuple((_share(x), _share(y)) for x, y in corners)
    return str(Condition("region", "in", Region(inside, drawing)))


def _selected_corners(shown: EmbeddingMap) -> list[tuple[float, float]]:
    """Corners of the selection on this map."""
    line = st.session_state.get(SELECTED)
    condition = parse_query(line).filter if line else None
    if isinstance(condition, Condition) and isinstance(condition.value, Region):
        return list(condition.value.corners) if condition.value.drawing == shown.drawing else []
    return []


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), _DECIMALS)


def _choose_group(shown: EmbeddingMap, names: Sequence[str]) -> None:
    counts = np.bincount(shown.clusters, minlength=len(names))
    groups = [group for group in np.argsort(-counts, kind="stable").tolist() if counts[group]]

    def chosen() -> None:
        group = st.session_state[GROUP]
        st.session_state[SELECTED] = middle_of(shown, group) if group is not None else ""

    st.selectbox(
        strings.GROUP,
        groups,
        index=None,
        format_func=lambda group: strings.GROUP_OPTION.format(name=names[group], count=f"{counts[group]:,}"),
        key=GROUP,
        placeholder=strings.ANY_GROUP,
        help=strings.GROUP_HELP,
        on_change=chosen,
        width=360,
    )


def _names(shown: EmbeddingMap) -> list[str]:
    """Names of the groups, cached per session for one map."""
    key = (library().path, shown.drawing)
    kept: tuple[object, list[str]] | None = st.session_state.get(_NAMES)
    if kept is not None and kept[0] == key:
        return kept[1]
    try:
        with st.spinner(strings.NAMING):
            labels = library().browse.cluster_labels(shown)
    except ModelError as error:
        st.warning(plain(strings.GROUPS_UNNAMED.format(error=error)))
        labels = [""] * len(shown.directions)
    names = [label or strings.GROUP_NUMBER.format(number=number) for number, label in enumerate(labels, start=1)]
    st.session_state[_NAMES] = (key, names)
    return names


def _state_of(shown: EmbeddingMap) -> None:
    """A notice while a better map is computed."""
    if shown.complete:
        return
    if shown.problem:
        st.warning(plain(strings.MAP_PROBLEM.format(problem=shown.problem)), icon=":material/warning:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(strings.MAP_BEING_DRAWN, icon=":material/hourglass_top:")
        st.button(strings.LOOK_AGAIN, key="explore_look_again")
