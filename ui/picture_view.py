"""One picture, large, with all that is known of it and the ways to go on from it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from clipsearch.browse.details import PictureDetails
from clipsearch.errors import ClipSearchError, QueryError
from clipsearch.library_parts.protocol import Heatmap
from clipsearch.media.box import Box
from clipsearch.query import ImageTerm
from clipsearch.retrieval.results import SearchResult
from clipsearch.text import display_text
from ui import strings_search as strings
from ui.components import component
from ui.file_manager import open_folder
from ui.filter_line import read_filters
from ui.picture_facts import picture_facts
from ui.pictures import picture_url
from ui.plain import plain
from ui.result_grid import alt_text, focus_on_return
from ui.search_results import ResultPage, asked_query, find_page, has_neighbor, neighbor
from ui.search_state import SearchState, current_state, go
from ui.shared import remote_library, searchable
from ui.world_map import small_map

BOX_KEY = "search_box"
_NEAR_KM = 5


def picture_view(state: SearchState, uploads: Sequence[Path]) -> None:
    """Show the picture that the address names, and how it came up."""
    result_page = _page_of_results(state, uploads)
    _navigation(state, uploads, result_page)
    try:
        details = searchable().browse.picture(state.view)
    except QueryError:
        st.warning(strings.NOT_THERE, icon=":material/image_not_supported:")
        return
    result = _result(state, result_page)
    picture, beside = st.columns([2, 1], gap="medium")
    with picture:
        _picture(details, result)
    with beside:
        _going_on(state)
        if result is not None:
            _why(state, uploads, result)
        _files(details)
        _facts(details)


def _page_of_results(state: SearchState, uploads: Sequence[Path]) -> ResultPage | None:
    """The page of results that the picture was opened from; ``None`` if its query has something wrong by now."""
    try:
        return find_page(state, uploads)
    except ClipSearchError:  # the results themselves say what
        return None


def _result(state: SearchState, result_page: ResultPage | None) -> SearchResult | None:
    results = result_page.results if result_page is not None else ()
    return next((result for result in results if result.content_hash == state.view), None)


def _navigation(state: SearchState, uploads: Sequence[Path], result_page: ResultPage | None) -> None:
    """Back, previous and next, by buttons and by Esc and the arrows."""
    with st.container(horizontal=True):
        st.button(strings.BACK, key="search_back", icon=":material/arrow_back:", shortcut="Esc", on_click=_back)
        for label, key, shortcut, step in (
            (strings.PREVIOUS, "search_previous", "Left", -1),
            (strings.NEXT, "search_next", "Right", 1),
        ):
            st.button(
                label,
                key=key,
                shortcut=shortcut,
                disabled=result_page is None or not has_neighbor(state, result_page, step),
                on_click=_step,
                args=(state, uploads, step),
            )


def _back() -> None:
    state = current_state()
    focus_on_return(state.view)
    go(state.viewing(""))


def _step(state: SearchState, uploads: Sequence[Path], step: int) -> None:
    go(neighbor(state, uploads, step))


def _picture(details: PictureDetails, result: SearchResult | None) -> None:
    name = display_text(details.files[0].path.name)
    there = details.original is not None
    component("box")(
        key=BOX_KEY,
        data={
            "source": picture_url(details.content_hash) if there or details.thumbnail is not None else "",
            "alt": alt_text(result) if result is not None else name,
            "aspect": f"{max(details.width, 1) / max(details.height, 1):.4f}",
            "selectable": there,
            "words": {
                "no_picture": strings.NO_PICTURE,
                "start": strings.SELECT_PART,
                "hint": strings.SELECT_HINT,
                **strings.BOX_SIDES,
                "send": strings.LIKE_PART,
                "stop": strings.CANCEL,
            },
        },
        on_chosen_change=_search_part,
    )
    st.markdown(f"**{plain(details.files[0].path.name)}**")
    if not there and details.thumbnail is not None:
        st.caption(strings.PREVIEW_ONLY)


def _search_part() -> None:
    chosen = st.session_state[BOX_KEY].chosen
    if chosen:
        state = current_state()
        go(state.like(state.view, box=str(Box.parse(str(chosen)))))


def _going_on(state: SearchState) -> None:
    def button(label: str, key: str, target: SearchState, *, help_text: str | None = None) -> None:
        st.button(label, key=key, on_click=go, args=(target,), help=help_text, width="stretch")

    button(strings.LIKE, "search_like", state.like(state.view))
    button(strings.ADD, "search_add", state.with_picture(state.view), help_text=strings.ADD_HELP)
    button(
        strings.SUBTRACT, "search_subtract", state.with_picture(state.view, sign="-"), help_text=strings.SUBTRACT_HELP
    )


def _why(state: SearchState, uploads: Sequence[Path], result: SearchResult) -> None:
    if result.score is None:
        return
    st.subheader(strings.WHY)
    if result.match is not None and result.probability is not None:
        st.write(strings.WHY_MATCH[result.match].format(percent=round(100 * result.probability)))
    else:
        st.write(strings.WHY_PICTURE)
    st.caption(strings.SCORE.format(score=result.score))
    if st.button(strings.SHOW_WHERE, key="search_explain", help=strings.SHOW_WHERE_HELP):
        _heat(state, uploads, result)


def _heat(state: SearchState, uploads: Sequence[Path], result: SearchResult) -> None:
    try:
        with st.spinner(strings.SEARCHING):
            heatmap = _explanation(state, uploads, result)
    except ClipSearchError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    jpeg = io.BytesIO()
    heatmap.overlay().save(jpeg, "JPEG", quality=85)
    st.image(jpeg.getvalue(), alt=strings.HEAT)
    st.caption(strings.HEAT_FROM_PREVIEW if heatmap.from_preview else strings.HEAT)


def _explanation(state: SearchState, uploads: Sequence[Path], result: SearchResult) -> Heatmap:
    query = asked_query(state, uploads)
    if state.box:
        (term,) = query.terms
        assert isinstance(term, ImageTerm)
        return searchable().explain(result, like=f"~{term.reference}", box=Box.parse(state.box))
    return searchable().explain(result, str(query))


def _files(details: PictureDetails) -> None:
    st.subheader(strings.FILES)
    _paths([(file.path, "" if file.online else strings.FILE_OFFLINE) for file in details.files], key="search_files")
    if details.original is not None and _is_local():
        st.button(
            strings.OPEN_FOLDER,
            key="search_open_folder",
            icon=":material/folder_open:",
            on_click=_open_folder,
            args=(details.original.parent,),
        )
        refused = st.session_state.pop("search_folder_refused", None)
        if refused:
            st.error(plain(refused), icon=":material/error:")
    try:
        versions = searchable().duplicates.versions_of(details.content_hash)
    except QueryError:  # not embedded by the model in use yet
        return
    if versions:
        st.subheader(strings.OTHER_VERSIONS)
        _paths([(path, "") for path in versions], key="search_versions")


def _paths(files: Sequence[tuple[Path, str]], *, key: str) -> None:
    component("paths")(
        key=key,
        data={
            "files": [_path(path, note) for path, note in files],
            "words": {"copy": strings.COPY_PATH, "copied": strings.COPIED},
        },
    )


def _path(path: Path, note: str) -> dict[str, str]:
    # a name that is not UTF-8 cannot travel to a browser as it is
    return {"shown": display_text(str(path)), "path": str(path).encode(errors="replace").decode(), "note": note}


def _is_local() -> bool:
    """Whether the pictures and the browser are on the machine that the page is served from."""
    return remote_library() is None and st.context.ip_address is None


def _open_folder(folder: Path) -> None:
    try:
        open_folder(folder)
    except ClipSearchError as error:
        st.session_state["search_folder_refused"] = str(error)


def _facts(details: PictureDetails) -> None:
    st.subheader(strings.DETAILS)
    st.table({"": {plain(name): plain(value) for name, value in picture_facts(details)}}, hide_header=True)
    if details.tags:
        st.subheader(strings.TAGS)
        st.markdown(plain(", ".join(details.tags)))
    metadata = details.metadata
    if metadata.latitude is not None and metadata.longitude is not None:
        small_map(metadata.latitude, metadata.longitude)
        near = f"{metadata.latitude:.4f},{metadata.longitude:.4f},{_NEAR_KM}km"
        st.button(strings.SEARCH_NEAR, key="search_near", on_click=_search_near, args=(near,))


def _search_near(near: str) -> None:
    state = current_state()
    picked = replace(read_filters(state.filters), near=read_filters(f"near:{near}").near)
    go(SearchState(filters=picked.line()))
