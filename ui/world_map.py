"""The bundled coast lines of the world, and a map of one place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import streamlit as st

from clipsearch.config import data_dir
from clipsearch.system.optional_packages import has_extra
from ui import strings_search as strings

LAND_FILE = "world/land.geojson"

_HALF_TURN = 180

_MAP_HEIGHT = 180
"""Pixels of the map of one place."""


@dataclass(frozen=True)
class WorldOutline:
    """Coast lines, separated by ``None``.

    Attributes:
        longitudes: degrees east, -180 to 180.
        latitudes: degrees north, -90 to 90; same length as `longitudes`.
    """

    longitudes: tuple[float | None, ...]
    latitudes: tuple[float | None, ...]


@cache
def world_outline() -> WorldOutline:
    """The bundled coast lines."""
    land = json.loads((data_dir() / LAND_FILE).read_text(encoding="utf-8"))
    longitudes: list[float | None] = []
    latitudes: list[float | None] = []
    for polygon in land["coordinates"]:
        for ring in polygon:
            last = ring[0][0]
            for longitude, latitude in ring:
                if abs(longitude - last) > _HALF_TURN:  # crosses the date line
                    longitudes.append(None)
                    latitudes.append(None)
                longitudes.append(longitude)
                latitudes.append(latitude)
                last = longitude
            longitudes.append(None)
            latitudes.append(None)
    return WorldOutline(tuple(longitudes[:-1]), tuple(latitudes[:-1]))


def small_map(latitude: float, longitude: float) -> None:
    """Show a place on a map, in degrees; nothing without the extra `map`."""
    if not has_extra("map", "plotly"):
        return
    import plotly.graph_objects as go

    outline = world_outline()
    figure = go.Figure(
        [
            go.Scatter(
                x=outline.longitudes, y=outline.latitudes, mode="lines", line={"width": 1, "color": "#757e8a"},
                hoverinfo="skip",
            ),
            go.Scatter(
                x=[longitude], y=[latitude], mode="markers", hoverinfo="skip",
                marker={"size": 12, "color": "#d1242f", "line": {"width": 2, "color": "#ffffff"}},
            ),
        ]
    )  # fmt: skip
    figure.update_layout(
        height=_MAP_HEIGHT, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False, dragmode=False,
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-180, 180], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-60, 85], fixedrange=True)
    st.plotly_chart(figure, key="search_map", config={"displayModeBar": False, "staticPlot": True})
    st.caption(strings.PLACE)
