"""Results as a grid of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from clipsearch.media.metadata.values import date_text
from clipsearch.media.segments import SegmentKind
from clipsearch.retrieval.results import SearchResult
from clipsearch.text import clock_time, display_text
from ui import strings_search as strings
from ui.components import component
from ui.pictures import frame_url, thumbnail_url
from ui.query_box import BOX_KEY
from ui.search_state import SearchState, current_state, go
from ui.shared import remote_library

GRID_KEY = "search_grid"
_FOCUS = "search_last_viewed"


def result_grid(results: Sequence[SearchResult], state: SearchState) -> None:
    """Show the grid; a click or Enter opens a picture."""
    data = {
        "items": [grid_item(result, state) for result in results],
        "focus": st.session_state.pop(_FOCUS, ""),
        "box": BOX_KEY,
        "words": {"label": strings.RESULTS, "no_preview": strings.NO_PREVIEW},
    }
    component("grid")(key=GRID_KEY, data=data, on_opened_change=_open)


def focus_on_return(content_hash: str) -> None:
    """Focus a picture when the grid is shown again."""
    st.session_state[_FOCUS] = content_hash


def grid_item(result: SearchResult, state: SearchState) -> dict[str, Any]:
    """The data of a result for the grid component; names as plain text."""
    width, height = max(result.width, 1), max(result.height, 1)
    return {
        "hash": result.content_hash,
        "address": f"?{urlencode(state.viewing(result.content_hash).params())}",
        "source": _source(result),
        "name": display_text(result.path.name),
        "alt": alt_text(result),
        "date": _day(result),
        "aspect": f"{width / height:.4f}",
        "wide": width >= height,
        "part": _part(result),
        "matched": matched_line(result),
        "badges": [{"kind": kind, "text": text} for kind, text in badges(result)],
    }


def _day(result: SearchResult) -> str:
    return date_text(result.taken_at, result.taken_precision, "%Y-%m-%d") if result.taken_at else ""


def matched_line(result: SearchResult) -> str:
    """The text that has the words of the query, and its kind; empty without any."""
    reason = next((item for item in result.matched if item.excerpt), None)
    return "" if reason is None else strings.MATCHED[reason.kind].format(excerpt=display_text(reason.excerpt))


def badges(result: SearchResult) -> list[tuple[str, str]]:
    """Kind and text of each badge."""
    marks: list[tuple[str, str]] = []
    if result.match in ("strong", "possible"):
        marks.append((result.match, strings.STRONG if result.match == "strong" else strings.POSSIBLE))
    if result.duration_s is not None:
        marks.append(("video", moment_text(result)))
    if not result.online:
        marks.append(("offline", strings.OFFLINE))
    if result.copies:
        marks.append(("copies", strings.COPIES[len(result.copies) > 1].format(count=len(result.copies))))
    if result.stack:
        marks.append(("stack", strings.STACK.format(names=", ".join(path.name for path in result.stack))))
    if result.near_duplicates:
        count = len(result.near_duplicates)
        marks.append(("versions", strings.VERSIONS[count > 1].format(count=count)))
    if result.part is not None:
        marks.append(("where", strings.PART_MARK))
    return marks


def moment_text(result: SearchResult) -> str:
    """When a video matches, and how long it is."""
    start_s, duration = result.segment.start_s, clock_time(result.duration_s or 0.0)
    is_part = result.segment.kind == SegmentKind.FRAME and start_s is not None
    return strings.MOMENT.format(start=clock_time(start_s or 0.0), duration=duration) if is_part else duration


def alt_text(result: SearchResult) -> str:
    """Alternative text: file name, date and match."""
    parts = [display_text(result.path.name)]
    parts.append(strings.ALT_TAKEN.format(date=_day(result)) if result.taken_at else strings.NO_DATE)
    parts += [strings.ALT_MATCH[result.match]] if result.match else []
    parts += [matched_line(result)] if matched_line(result) else []
    parts += [strings.ALT_VIDEO.format(moment=moment_text(result))] if result.duration_s is not None else []
    parts += [] if result.online else [strings.ALT_OFFLINE]
    return ", ".join(parts)


def pager(state: SearchState, *, more: bool) -> None:
    """Buttons for the previous and the next page."""
    if state.page == 1 and not more:
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="center"):
        for name, label, page, exists in (
            ("previous_page", strings.PREVIOUS_PAGE, state.page - 1, state.page > 1),
            ("next_page", strings.NEXT_PAGE, state.page + 1, more),
        ):
            if name == "next_page":
                st.text(strings.PAGE.format(page=state.page))
            st.button(label, key=f"search_{name}", disabled=not exists, on_click=_turn_to, args=(page,))


def _turn_to(page: int) -> None:
    go(replace(current_state(), page=page))


def _open() -> None:
    opened = st.session_state[GRID_KEY].opened
    if opened:
        go(current_state().viewing(str(opened)))


def _source(result: SearchResult) -> str:
    if result.segment.kind == SegmentKind.FRAME and result.online and remote_library() is None:
        return frame_url(result.content_hash, result.segment.at_s or 0.0)
    if result.thumbnail is not None or result.online:
        return thumbnail_url(result.content_hash)
    return ""


def _part(result: SearchResult) -> dict[str, float] | None:
    """The box of the matching segment, in percent."""
    if result.part is None:
        return None
    left, upper, right, lower = result.part.edges(result.width, result.height)
    across, down = 100 / result.width, 100 / result.height
    return {
        "x": left * across,
        "y": upper * down,
        "width": (right - left) * across,
        "height": (lower - upper) * down,
    }
