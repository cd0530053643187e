"""A small map of the world with one place on it; drawn here, of coast lines that the program ships."""

from __future__ import annotations

import streamlit as st

from ui import strings_search as strings
from ui.world_outline import world_outline

_HEIGHT = 180


def small_map(latitude: float, longitude: float) -> None:
    """Show where a place is, in degrees."""
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
        height=_HEIGHT, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False, dragmode=False,
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-180, 180], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-60, 85], fixedrange=True)
    st.plotly_chart(figure, key="search_map", config={"displayModeBar": False, "staticPlot": True})
    st.caption(strings.PLACE)
