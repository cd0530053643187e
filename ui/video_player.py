"""The player of the picture view: a video that starts at the moment, and its frames with the match curve over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from clipsearch.errors import ClipSearchError
from clipsearch.retrieval.moments import MatchCurve
from clipsearch.text import clock_time, display_text
from ui import strings_search as strings
from ui.components import component
from ui.pictures import frame_url, thumbnail_url, video_url
from ui.plain import plain
from ui.search_results import asked_query
from ui.search_state import SearchState, current_state, go, is_time
from ui.shared import library, remote_library

if TYPE_CHECKING:
    from clipsearch.browse.details import PictureDetails
    from clipsearch.retrieval.results import SearchResult

PLAYER_KEY = "search_player"

_STRIP_FRAMES = 12
"""Frames of the strip at most, equally spaced."""


def player(details: PictureDetails, result: SearchResult | None, state: SearchState, uploads: Sequence[Path]) -> None:
    """Show a video; a button searches for more like the moment that is shown."""
    duration_s = details.duration_s or 0.0
    is_playable = details.original is not None and remote_library() is None
    curve = _curve(details, state, uploads) if is_playable else MatchCurve()
    start_s = result.segment.start_s if result is not None and result.segment.start_s else 0.0
    name = display_text(details.files[0].path.name)
    component("video")(
        key=PLAYER_KEY,
        data={
            "source": video_url(details.content_hash) if is_playable else "",
            "is_picture": details.format in ("GIF", "WEBP"),
            "poster": thumbnail_url(details.content_hash),
            "alt": name,
            "aspect": f"{max(details.width, 1) / max(details.height, 1):.4f}",
            "start": start_s,
            "at": (result.segment.at_s if result is not None else None) or start_s,
            "duration": duration_s,
            "frames": _strip(details.content_hash, duration_s) if is_playable else [],
            "times": list(curve.times_s),
            "scores": list(curve.scores),
            "moments": [
                {
                    "start": moment.start_ms / 1000,
                    "end": moment.end_ms / 1000,
                    "label": f"{clock_time(moment.start_ms / 1000)}–{clock_time(moment.end_ms / 1000)}",
                }
                for moment in curve.moments[:1]
            ],
            "words": {
                "player": strings.PLAYER,
                "strip": strings.STRIP,
                "like": strings.LIKE_MOMENT,
                "cannot_play": strings.CANNOT_PLAY,
                "offline": strings.OFFLINE_VIDEO,
            },
        },
        on_chosen_change=_search_moment,
    )
    st.markdown(f"**{plain(details.files[0].path.name)}**")


def _curve(details: PictureDetails, state: SearchState, uploads: Sequence[Path]) -> MatchCurve:
    try:
        return library().browse.match_curve(details.content_hash, str(asked_query(state, uploads)))
    except ClipSearchError:  # the result page shows the error
        return MatchCurve()


def _strip(content_hash: str, duration_s: float) -> list[dict[str, object]]:
    count = max(1, min(_STRIP_FRAMES, round(duration_s)))
    times = [duration_s * (number + 0.5) / count for number in range(count)]
    return [{"at": at, "label": clock_time(at), "source": frame_url(content_hash, at)} for at in times]


def _search_moment() -> None:
    chosen = str(st.session_state[PLAYER_KEY].chosen or "")
    if is_time(chosen):
        state = current_state()
        go(state.like(state.view, at=chosen))
