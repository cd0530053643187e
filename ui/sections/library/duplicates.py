"""The review of duplicates: groups of files, of which selected ones are moved to the trash after confirmation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import streamlit as st

from clipsearch.errors import ClipSearchError
from clipsearch.retrieval.duplicates import DuplicateFile, DuplicateGroup, DuplicateKind
from clipsearch.text import display_text, format_bytes, format_count
from ui import indexing
from ui import strings_library as strings
from ui.flash import flash, show_error
from ui.plain import plain
from ui.sections.library.duplicate_review import FoundDuplicates, SeenFile, duplicates_holder, seen_file
from ui.sections.library.status import forget_status
from ui.shared import library

_GROUPS_ON_PAGE = 5
_CARD_WIDTH = 220
_CHOSEN = "library_duplicates_chosen"

_TURN = "library_duplicates_turn"
"""Part of the checkboxes' keys; a new key resets them when files are selected by a button."""


def duplicates() -> None:
    """Find duplicates on demand, and page through the groups."""
    st.write(strings.DUPLICATES_TEXT)
    latest = duplicates_holder.latest(library())
    if latest is not None and latest.revision != library().revision():
        st.info(strings.OUTDATED)
    label = strings.LOOK_FOR_DUPLICATES if latest is None else strings.LOOK_AGAIN
    if st.button(label, key="library_duplicates_find", icon=":material/difference:"):
        try:
            with st.spinner(strings.LOOKING, show_time=True):
                duplicates_holder.find(library())
        except ClipSearchError as error:
            show_error(error)
        else:
            st.session_state[_CHOSEN] = set()
            st.rerun()
    if latest is not None:
        _review(latest)


@st.fragment
def _review(latest: FoundDuplicates) -> None:
    if not latest.groups:
        st.success(strings.NO_DUPLICATES, icon=":material/check:")
        return
    others = sum(file.size for group in latest.groups for file in group.others)
    groups = format_count(len(latest.groups), "group")
    st.write(strings.DUPLICATES_COUNT.format(groups=groups, size=format_bytes(others)))
    kinds = st.pills(
        strings.DUPLICATE_KINDS,
        list(strings.KINDS),
        selection_mode="multi",
        default=list(strings.KINDS),
        format_func=lambda kind: strings.KINDS[kind],
        key="library_duplicates_kinds",
    )
    groups_of_kinds = [group for group in latest.groups if group.kind in cast("list[DuplicateKind]", kinds)]
    if not groups_of_kinds:
        st.info(strings.NO_DUPLICATES_OF_KIND)
        return
    pages = -(-len(groups_of_kinds) // _GROUPS_ON_PAGE)
    page = st.pagination(pages, key="library_duplicates_page") if pages > 1 else 1
    first = (min(page, pages) - 1) * _GROUPS_ON_PAGE
    shown = [
        (group, [seen_file(file) for file in group.files]) for group in groups_of_kinds[first : first + _GROUPS_ON_PAGE]
    ]
    buttons = st.container(horizontal=True)
    for group, files in shown:
        _group(group, files)
    with buttons:  # drawn last: their labels count the selection
        _choosing(latest, [files for _, files in shown])


def _chosen() -> set[Path]:
    """The selected files of all pages."""
    chosen: set[Path] = st.session_state.setdefault(_CHOSEN, set())
    return chosen


def _choosing(latest: FoundDuplicates, shown: Sequence[Sequence[SeenFile]]) -> None:
    files_by_path = {file.path: file for group in latest.groups for file in group.files}
    chosen = [files_by_path[path] for path in sorted(_chosen() & files_by_path.keys())]
    safe = [files for files in shown if files[0].hindrance is None]  # only if the best file is readable
    others = [file.file.path for files in safe for file in files[1:] if file.hindrance is None]
    st.button(strings.CHOOSE_OTHERS, key="library_duplicates_others", on_click=_choose, args=(others, True))
    st.button(
        strings.CHOOSE_NONE,
        key="library_duplicates_none",
        on_click=_choose,
        args=([file.path for file in chosen], False),
        disabled=not chosen,
    )
    count = format_count(len(chosen), "file")
    if st.button(
        strings.TRASH_BUTTON.format(count=count) if chosen else strings.TRASH_NONE,
        key="library_trash",
        type="primary",
        icon=":material/delete:",
        disabled=not chosen or indexing.background.state().running,
    ):
        _confirm(chosen, _emptied(latest, chosen))


def _choose(paths: Sequence[Path], chosen: bool) -> None:
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    for path in paths:
        (_chosen().add if chosen else _chosen().discard)(path)


def _group(group: DuplicateGroup, files: Sequence[SeenFile]) -> None:
    with st.container(border=True):
        count = format_count(len(files), "file")
        st.markdown(f"**{strings.GROUP.format(kind=strings.KINDS[group.kind], count=count)}**")
        if group.reason:
            st.caption(strings.BEST_REASON.format(reason=plain(group.reason)))
        with st.container(horizontal=True, gap="medium"):
            for seen in files:
                _card(seen, is_best=seen.file is group.best)


def _card(seen: SeenFile, *, is_best: bool) -> None:
    file = seen.file
    name = display_text(file.path.name)
    with st.container(width=_CARD_WIDTH, gap="xsmall"):
        if seen.thumbnail is not None:
            st.image(seen.thumbnail, alt=strings.PREVIEW_OF.format(name=name), width="stretch")
        else:
            st.caption(strings.NO_PREVIEW)
        st.text(name)
        st.caption(plain(str(file.path.parent)))
        facts = f"{file.width}×{file.height} · {format_bytes(file.size)} · {display_text(file.format)}"
        st.text(f"{facts}\n{seen.date}".strip())
        if is_best:
            st.badge(strings.BEST, icon=":material/star:", color="green")
        if seen.hindrance is not None:
            st.caption(seen.hindrance)
            _chosen().discard(file.path)
            return
        key = f"library_trash_{st.session_state.get(_TURN, 0)}_{display_text(str(file.path))}"
        chosen = st.checkbox(strings.CHOOSE, value=file.path in _chosen(), key=key)
        (_chosen().add if chosen else _chosen().discard)(file.path)


def _emptied(latest: FoundDuplicates, chosen: Sequence[DuplicateFile]) -> int:
    """The number of groups of which no file would remain."""
    paths = {file.path for file in chosen}
    return sum(all(file.path in paths for file in group.files) for group in latest.groups)


@st.dialog(strings.TRASH_TITLE, width="large")
def _confirm(chosen: Sequence[DuplicateFile], emptied: int) -> None:
    size = format_bytes(sum(file.size for file in chosen))
    st.write(strings.TRASH_TEXT.format(count=format_count(len(chosen), "file"), size=size))
    if emptied:
        groups = format_count(emptied, "picture")
        st.warning(strings.TRASH_WHOLE_GROUP.format(count=groups), icon=":material/warning:")
    with st.container(height=240 if len(chosen) > 8 else "content", border=True):
        st.text("\n".join(display_text(str(file.path)) for file in chosen))
    with st.container(horizontal=True):
        confirmed = st.button(strings.TRASH_CONFIRM, key="library_trash_confirm", type="primary")
        if st.button(strings.CANCEL, key="library_trash_cancel"):
            st.rerun()
    if confirmed:
        _trash([file.path for file in chosen])


def _trash(paths: Sequence[Path]) -> None:
    revision = library().revision()
    try:
        moved = library().maintenance.trash(*paths)
    except ClipSearchError as error:
        show_error(error)
        return
    finally:  # files may have been moved before an error
        gone = [path for path in paths if not os.path.lexists(path)]
        duplicates_holder.forget(library(), gone, revision=revision)
        _choose(gone, False)
        forget_status()
    flash(strings.TRASH_DONE.format(count=format_count(moved, "file")))
    st.rerun()
