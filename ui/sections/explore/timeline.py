"""The timeline: pictures per month or year, and a selected range."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from clipsearch.catalog.facets import FacetValue
from clipsearch.text import format_count
from ui import strings_explore as strings
from ui.components import component
from ui.filter_line import months_between
from ui.search_results import facets_holder
from ui.sections.explore.selected import selected

CHART, MONTHS, PERIOD = "explore_timeline", "explore_months", "explore_period"
_PICKED = "explore_months_picked"

_MANY_MONTHS = 120
"""With more months, the bars are years by default."""


def timeline_section() -> None:
    """Show the timeline and its selection."""
    facets = facets_holder.facets()
    if not facets.months:
        st.info(strings.NO_DATES, icon=":material/info:")
        return
    months = months_between(facets.months[0].value, facets.months[-1].value)
    counts = {value.value: value.count for value in facets.months}
    st.caption(strings.TIMELINE_HELP)
    yearly = _is_yearly(months)
    chosen = _chosen(months)
    bars = bars_of(facets.months, months, yearly=yearly)

    def picked() -> None:
        _pick(picked_months(st.session_state[CHART].picked, bars, months))

    component("timeline")(
        key=CHART,
        data=timeline_data(bars, chosen, yearly=yearly) | {"label": timeline_alt(facets.months)},
        on_picked_change=picked,
    )
    if len(months) > 1:
        st.select_slider(strings.MONTHS, months, value=_picked(months), key=_slider_key())
    if facets.undated:
        st.caption(strings.UNDATED.format(files=format_count(facets.undated, "file")))
    if chosen != (months[0], months[-1]) or len(months) == 1:
        st.caption(f"{_period(*chosen)}: {sum(counts.get(month, 0) for month in _between(months, *chosen)):,}")
        selected(date_line(*chosen), key="explore_timeline_selected")


def bars_of(facets: Sequence[FacetValue], months: Sequence[str], *, yearly: bool) -> list[tuple[str, str, int]]:
    """First month, last month and count of each bar.

    Args:
        facets: months with pictures.
        months: all months from the first to the last of them.
        yearly: whether a bar is a year.
    """
    counts = {value.value: value.count for value in facets}
    if not yearly:
        return [(month, month, counts.get(month, 0)) for month in months]
    years = sorted({month[:4] for month in months})
    return [
        (f"{year}-01", f"{year}-12", sum(count for month, count in counts.items() if month[:4] == year))
        for year in years
    ]


def picked_months(picked: Any, bars: Sequence[tuple[str, str, int]], months: Sequence[str]) -> tuple[str, str]:
    """The first and the last month of a selection; all months for an invalid selection.

    Args:
        picked: indexes of the first and the last bar.
        bars: from `bars_of`.
        months: all months.
    """
    is_range = isinstance(picked, list) and len(picked) == 2 and all(isinstance(number, int) for number in picked)
    if not is_range or not 0 <= picked[0] <= picked[1] < len(bars):
        return months[0], months[-1]
    return max(bars[picked[0]][0], months[0]), min(bars[picked[1]][1], months[-1])


def timeline_data(bars: Sequence[tuple[str, str, int]], chosen: tuple[str, str], *, yearly: bool) -> dict[str, Any]:
    """The data of the timeline component.

    Args:
        bars: from `bars_of`.
        chosen: the first and the last selected month.
        yearly: whether a bar is a year.
    """
    inside = [number for number, (start, end, _) in enumerate(bars) if start <= chosen[1] and end >= chosen[0]]
    names = [start[:4] if yearly else f"{datetime.strptime(start, '%Y-%m'):%B %Y}" for start, _, _ in bars]
    return {
        "bars": [
            {
                "label": strings.BAR.format(period=name, files=format_count(count, "file")),
                "mark": start[: 4 if yearly else 7],
                "count": count,
            }
            for name, (start, _, count) in zip(names, bars, strict=True)
        ],
        "first": inside[0],
        "last": inside[-1],
        "most": strings.MOST.format(files=format_count(max(count for _, _, count in bars), "file")),
    }


def date_line(first: str, last: str) -> str:
    """The filter for an inclusive range of months.

    >>> date_line("2021-06", "2021-08"), date_line("2021-06", "2021-06")
    ('date:2021-06..2021-08', 'date:2021-06')
    """
    return f"date:{first}" if first == last else f"date:{first}..{last}"


def timeline_alt(facets: Sequence[FacetValue]) -> str:
    """Alternative text of the timeline."""
    busiest = max(facets, key=lambda value: value.count)
    return strings.TIMELINE_ALT.format(
        first=facets[0].value, last=facets[-1].value, most=busiest.value, count=f"{busiest.count:,}"
    )


def _is_yearly(months: Sequence[str]) -> bool:
    names = {False: strings.MONTH, True: strings.YEAR}
    default = len(months) > _MANY_MONTHS
    if months[0][:4] == months[-1][:4]:
        return False
    picked = st.segmented_control(
        strings.PERIOD, [False, True], default=default, format_func=names.__getitem__, key=PERIOD, required=True
    )
    return default if picked is None else picked


def _chosen(months: Sequence[str]) -> tuple[str, str]:
    """The range of the slider, or all months if it no longer exists."""
    first, last = st.session_state.get(_slider_key(), _picked(months))
    return (first, last) if first in months and last in months else (months[0], months[-1])


def _picked(months: Sequence[str]) -> tuple[str, str]:
    """The last selection on the chart: the initial range of the slider."""
    _, first, last = st.session_state.get(_PICKED, (0, months[0], months[-1]))
    return (first, last) if first in months and last in months else (months[0], months[-1])


def _slider_key() -> str:
    """A new key after each selection on the chart: only a new slider takes an initial range."""
    return f"{MONTHS}_{st.session_state.get(_PICKED, (0,))[0]}"


def _pick(months: tuple[str, str]) -> None:
    times = st.session_state.get(_PICKED, (0,))[0] + 1
    st.session_state[_PICKED] = (times, *months)


def _between(months: Sequence[str], first: str, last: str) -> list[str]:
    return [month for month in months if first <= month <= last]


def _period(first: str, last: str) -> str:
    return first if first == last else strings.PERIOD_RANGE.format(first=first, last=last)
