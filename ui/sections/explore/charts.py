"""The charts of the explore page, drawn without network requests for tiles or outlines."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ui import strings_explore as strings
from ui.shared import library
from ui.theme import Theme
from ui.world_map import world_outline

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from clipsearch.browse.embedding_map import EmbeddingMap

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c")
"""Distinguishable with any color vision; without black and yellow, which lack contrast, and with a gray.

Source: Okabe and Ito 2008, "Color Universal Design".
"""

MOST_DRAWN = 100_000
"""Maximum points of the map: a browser draws 100,000 in about 50 ms."""

_CONFIG: dict[str, object] = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["toImage"]}
_WORLD_HEIGHT = 460
_MOST_NAMED = 16
_SEED = 1


def chart_config() -> dict[str, object]:
    """The Plotly configuration of every chart."""
    return dict(_CONFIG)


def drawn_rows(pictures: int) -> NDArray[np.int64]:
    """Ascending indexes of the pictures on the map: all, or a fixed random sample of `MOST_DRAWN`."""
    if pictures <= MOST_DRAWN:
        return np.arange(pictures)
    return np.sort(np.random.default_rng(_SEED).choice(pictures, MOST_DRAWN, replace=False))


def group_colors(centers: NDArray[np.float32]) -> list[str]:
    """A color per group; groups of equal color are far apart.

    Args:
        centers: centers of the groups on the map, float32 [groups, 2]; NaN for an empty one.
    """
    places = np.nan_to_num(centers, nan=-10.0)
    chosen: list[int] = []
    for group, place in enumerate(places):
        away = [np.inf] * len(COLORS)
        for other, color in enumerate(chosen):
            away[color] = min(away[color], float(np.linalg.norm(place - places[other])))
        unused = [color for color in range(len(COLORS)) if away[color] == np.inf]
        chosen.append(unused[group % len(unused)] if unused else int(np.argmax(away)))
    return [COLORS[color] for color in chosen]


def map_data(shown: EmbeddingMap, names: Sequence[str]) -> dict[str, Any]:
    """The data of the map component: points by group, and the names of the largest groups.

    Args:
        shown: the map.
        names: names of the groups.
    """
    rows = drawn_rows(len(shown))
    rows = rows[np.argsort(shown.clusters[rows], kind="stable")]
    drawn = np.bincount(shown.clusters[rows], minlength=len(names))
    centers, counts = shown.centers(), np.bincount(shown.clusters, minlength=len(names))
    largest = [group for group in np.argsort(-counts, kind="stable")[:_MOST_NAMED].tolist() if counts[group]]
    return {
        "key": f"{library().path}/{shown.drawing}/{len(shown)}",
        "points": base64.b64encode(np.rint(shown.points[rows] * 65535).astype("<u2").tobytes()).decode(),
        "groups": [
            {"color": color, "count": count} for color, count in zip(group_colors(centers), drawn.tolist(), strict=True)
        ],
        "names": [
            {"x": float(centers[group][0]), "y": float(centers[group][1]), "text": names[group].partition(",")[0]}
            for group in largest
        ],
        "size": float(np.clip(110 / max(len(rows), 1) ** 0.35, 2.5, 11)),
    }


def world_figure(spots: NDArray[np.float64], counts: NDArray[np.int64], names: Sequence[str], theme: Theme) -> Figure:
    """The world map with a dot per spot, sized by the number of pictures.

    Args:
        spots: degrees north and east, float64 [n, 2].
        counts: pictures per spot, int64 [n].
        names: of the spots.
        theme: the colors of the page.
    """
    import plotly.graph_objects as go

    outline = world_outline()
    size = (7 + 5 * np.log10(counts)).clip(7, 30)
    figure = go.Figure(
        [
            go.Scatter(
                x=outline.longitudes, y=outline.latitudes, mode="lines", line={"width": 1, "color": theme.border},
                hoverinfo="skip",
            ),
            go.Scatter(
                x=spots[:, 1], y=spots[:, 0], mode="markers", customdata=counts, text=list(names),
                hovertemplate=strings.SPOT.format(place="%{text}", count="%{customdata}") + "<extra></extra>",
                marker={"size": size, "color": COLORS[5], "opacity": 0.8, "line": {"width": 1, "color": "#ffffff"}},
            ),
        ]
    )  # fmt: skip
    _lay_out(figure, _WORLD_HEIGHT, revision="world")
    figure.update_xaxes(visible=False, range=[-180, 180])
    figure.update_yaxes(visible=False, range=[-60, 85], scaleanchor="x", scaleratio=1.3)
    return figure


def _lay_out(figure: Figure, height: int, *, revision: str) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        showlegend=False,
        dragmode="select",
        uirevision=revision,  # keeps the zoom across redraws
        hoverlabel={"namelength": -1},
    )
