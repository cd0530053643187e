"""The filter widgets, with the values that occur in the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from clipsearch.catalog.facets import Facets, FacetValue
from clipsearch.errors import QueryError
from clipsearch.query import same_extensions
from clipsearch.text import display_text, format_count
from ui import strings_search as strings
from ui.components import component
from ui.filter_line import MONTH, PickedFilters, months_between, read_filters
from ui.plain import plain
from ui.search_results import facets_holder
from ui.search_state import current_state, go

_KEY = "search_filter_{}"
_MONTHS_ROUND = "search_months_round"
_LONGEST_RANGE = 12 * 200
"""Maximum months of the slider; a longer range contains a wrong date."""


def filters(picked: PickedFilters) -> None:
    """Show the widgets."""
    facets = facets_holder.facets()
    st.subheader(strings.FILTERS)
    _months(facets, picked)
    for name, values in _choices(facets).items():
        _choice(name, values, picked)
    _rating(facets, picked)
    if facets.located or picked.near:
        _near(facets, picked)
    if picked.line():
        st.button(strings.CLEAR_FILTERS, key="search_clear_filters", on_click=_clear)


def filter_chips(picked: PickedFilters) -> None:
    """A button per filter that removes it."""
    parts = picked.parts()
    if not parts:
        return
    with st.container(horizontal=True):
        for number, part in enumerate(parts):
            rest = " ".join(parts[:number] + parts[number + 1 :])
            st.button(
                plain(part),
                key=f"search_chip_{number}",
                icon=":material/close:",
                help=plain(strings.REMOVE_FILTER.format(filter=part)),
                on_click=set_filters,
                args=(rest,),
            )


def set_filters(line: str) -> None:
    """Change the filters; a callback."""
    go(current_state().filtered(line))


def _choices(facets: Facets) -> dict[str, tuple[FacetValue, ...]]:
    """Fields with at least two values, or one for fields that pictures may lack, and their values."""
    values_by_field = {
        "camera": facets.cameras,
        "lens": facets.lenses,
        "place": facets.places,
        "folder": facets.folders,
        "root": facets.roots,
        "ext": _formats(facets.extensions),
        "orientation": facets.orientations,
        "keyword": facets.keywords,
        "tag": facets.tags,
        "status": (FacetValue("online", 0), FacetValue("offline", 0)),
    }
    minimum = {"keyword": 1, "tag": 1}
    return {name: values for name, values in values_by_field.items() if len(values) >= minimum.get(name, 2)}


def _choice(name: str, values: Sequence[FacetValue], picked: PickedFilters) -> None:
    chosen = picked.choices.get(name, ())
    counts = {value.value: value.count for value in values if value.value.strip()}
    options = [*counts, *(value for value in chosen if value not in counts)]

    def label(value: str) -> str:
        count = counts.get(value, 0)
        return f"{display_text(value)} ({count:,})" if count else display_text(value)

    key = _KEY.format(name)
    _show(key, list(chosen))
    st.multiselect(
        strings.FIELDS[name],
        options,
        format_func=label,
        key=key,
        placeholder=strings.CHOOSE,
        on_change=_pick,
        args=(name,),
        select_all=False,
    )


def _months(facets: Facets, picked: PickedFilters) -> None:
    months = [month for month in facets.months if MONTH.fullmatch(month.value)]
    if not months:
        return
    options = months_between(months[0].value, months[-1].value)
    if not 1 < len(options) <= _LONGEST_RANGE:
        return
    first, last = picked.months or (options[0], options[-1])
    shown = (min(max(first, options[0]), options[-1]), max(min(last, options[-1]), options[0]))
    counts = {month.value: month.count for month in months}
    component("histogram")(
        key=_KEY.format("histogram"),
        data={
            "counts": [counts.get(month, 0) for month in options],
            "first": options.index(shown[0]),
            "last": options.index(shown[1]),
            "label": strings.DATE_CHART.format(first=options[0], last=options[-1]),
        },
    )
    key = _months_key()
    if key in st.session_state and tuple(st.session_state[key]) != shown:
        # a slider with two ends cannot be set from outside; another one takes its place
        st.session_state[_MONTHS_ROUND] = st.session_state.get(_MONTHS_ROUND, 0) + 1
    st.select_slider(
        strings.DATE,
        options,
        value=shown,
        key=_months_key(),
        on_change=_pick_months,
        args=(options[0], options[-1]),
    )
    if facets.undated:
        st.caption(strings.UNDATED.format(count=f"{facets.undated:,}"))


def _rating(facets: Facets, picked: PickedFilters) -> None:
    stars = sorted({int(value.value) for value in facets.ratings if value.value != "-1"} - {0})
    options: list[int | None] = [None, *stars]
    if picked.rating is not None and picked.rating not in options:
        options.append(picked.rating)
    if len(options) == 1:
        return
    key = _KEY.format("rating")
    _show(key, picked.rating)

    def label(rating: int | None) -> str:
        if rating is None:
            return strings.RATING_ANY
        return strings.RATING_AT_LEAST.format(stars="★" * rating if rating > 0 else str(rating))

    st.selectbox(strings.RATING, options, format_func=label, key=key, on_change=_pick_rating)


def _near(facets: Facets, picked: PickedFilters) -> None:
    key = _KEY.format("near")
    if f"{key}_error" not in st.session_state:
        _show(key, picked.near)
    st.text_input(strings.NEAR, key=key, help=strings.NEAR_HELP, placeholder="35.3,25.1,20km", on_change=_pick_near)
    error = st.session_state.pop(f"{key}_error", None)
    if error:
        st.error(plain(error))
    st.caption(strings.LOCATED.format(files=format_count(facets.located, "file")))


def _formats(extensions: Sequence[FacetValue]) -> tuple[FacetValue, ...]:
    """Counts by format; extensions of the same format count together."""
    counts: Counter[str] = Counter()
    for extension in extensions:
        if extension.value.isalnum():
            counts[same_extensions(extension.value)[0]] += extension.count
    return tuple(FacetValue(value, count) for value, count in counts.most_common())


def _show(key: str, value: Any) -> None:
    """Set a widget to the value in the address."""
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def _picked() -> PickedFilters:
    return read_filters(current_state().filters)


def _months_key() -> str:
    return _KEY.format(f"months_{st.session_state.get(_MONTHS_ROUND, 0)}")


def _pick(name: str) -> None:
    chosen = tuple(st.session_state[_KEY.format(name)])
    set_filters(_picked().picking(name, chosen).line())


def _pick_months(first: str, last: str) -> None:
    chosen: tuple[str, str] = tuple(st.session_state[_months_key()])
    set_filters(replace(_picked(), months=None if chosen == (first, last) else chosen).line())


def _pick_rating() -> None:
    set_filters(replace(_picked(), rating=st.session_state[_KEY.format("rating")]).line())


def _pick_near() -> None:
    key = _KEY.format("near")
    typed = "".join(st.session_state[key].split())
    try:
        near = read_filters(f"near:{typed}").near if typed else ""
    except QueryError as error:
        st.session_state[f"{key}_error"] = str(error)
        return
    set_filters(replace(_picked(), near=near).line())


def _clear() -> None:
    set_filters("")
