"""The picture view: one picture, its metadata and files, and searches from it."""

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
from ui.video_player import player
from ui.world_map import small_map

BOX_KEY = "search_box"
_NEAR_KM = 5


def picture_view(state: SearchState, uploads: Sequence[Path]) -> None:
    """Show the picture of the address and why it matched."""
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
        if details.duration_s is None:
            _picture(details, result)
        else:
            player(details, result, state, uploads)
    with beside:
        _similar_buttons(state)
        if result is not None:
            _why(state, uploads, result)
        if not details.lines:
            _files(details)
            _facts(details)
            return
        facts, text = st.tabs([strings.DETAILS, strings.TEXT])
        with text:
            _text(details)
        with facts:
            _files(details)
            _facts(details)


def _page_of_results(state: SearchState, uploads: Sequence[Path]) -> ResultPage | None:
    """The page of results that has the picture; ``None`` if the query fails."""
    try:
        return find_page(state, uploads)
    except ClipSearchError:  # the result page shows the error
        return None


def _result(state: SearchState, result_page: ResultPage | None) -> SearchResult | None:
    results = result_page.results if result_page is not None else ()
    return next((result for result in results if result.content_hash == state.view), None)


def _navigation(state: SearchState, uploads: Sequence[Path], result_page: ResultPage | None) -> None:
    """Back, previous and next, with the shortcuts Esc and arrow keys."""
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
    is_online = details.original is not None
    component("box")(
        key=BOX_KEY,
        data={
            "source": picture_url(details.content_hash) if is_online or details.thumbnail is not None else "",
            "alt": alt_text(result) if result is not None else name,
            "aspect": f"{max(details.width, 1) / max(details.height, 1):.4f}",
            "selectable": is_online,
            "marks": _marks(details, result),
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
    if not is_online and details.thumbnail is not None:
        st.caption(strings.PREVIEW_ONLY)


def _marks(details: PictureDetails, result: SearchResult | None) -> list[dict[str, float]]:
    """The boxes of the lines of text that have words of the query, in percent."""
    across, down = 100 / max(details.width, 1), 100 / max(details.height, 1)
    boxes = [item.box for item in result.matched if item.box is not None] if result is not None else []
    return [
        {"x": box.x * across, "y": box.y * down, "width": box.width * across, "height": box.height * down}
        for box in boxes
    ]


def _search_part() -> None:
    chosen = st.session_state[BOX_KEY].chosen
    if chosen:
        state = current_state()
        go(state.like(state.view, box=str(Box.parse(str(chosen)))))


def _similar_buttons(state: SearchState) -> None:
    def button(label: str, key: str, target: SearchState, *, help_text: str | None = None) -> None:
        st.button(label, key=key, on_click=go, args=(target,), help=help_text, width="stretch")

    button(strings.LIKE, "search_like", state.like(state.view))
    button(strings.ADD, "search_add", state.with_picture(state.view), help_text=strings.ADD_HELP)
    button(
        strings.SUBTRACT, "search_subtract", state.with_picture(state.view, sign="-"), help_text=strings.SUBTRACT_HELP
    )


def _share(probability: float) -> str:
    """A probability as a share of ten, for people."""
    tenths = round(10 * probability)
    if tenths in (0, 10):
        return strings.SMALL_SHARE if tenths == 0 else strings.LARGE_SHARE
    return strings.ABOUT_SHARE.format(tenths=tenths)


def _why(state: SearchState, uploads: Sequence[Path], result: SearchResult) -> None:
    reasons = [item for item in result.matched if item.excerpt]
    if result.score is None and not reasons:
        return
    st.subheader(strings.WHY)
    for item in reasons:
        st.markdown(plain(strings.MATCHED[item.kind].format(excerpt=display_text(item.excerpt))))
    if result.score is None:
        return
    if reasons and result.match == "none":
        pass  # the words are in its texts, whatever it looks like
    elif result.match is not None and result.probability is not None:
        st.write(strings.WHY_MATCH[result.match].format(share=_share(result.probability)))
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
    except QueryError:  # not embedded by the current model yet
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
    # a browser cannot receive a name that is not UTF-8
    return {"shown": display_text(str(path)), "path": str(path).encode(errors="replace").decode(), "note": note}


def _is_local() -> bool:
    """Whether the browser and the library are on this machine."""
    return remote_library() is None and st.context.ip_address is None


def _open_folder(folder: Path) -> None:
    try:
        open_folder(folder)
    except ClipSearchError as error:
        st.session_state["search_folder_refused"] = str(error)


def _text(details: PictureDetails) -> None:
    """The text in the picture, to be selected and copied."""
    st.code("\n".join(display_text(line.text) for line in details.lines), language=None, wrap_lines=True)


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
