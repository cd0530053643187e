"""Indexing and migration on the library page: start, progress, stop, summary."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from clipsearch.catalog.reports import IndexReport, LibraryStatus, MigrationReport, TextReport
from clipsearch.system.optional_packages import has_extra
from clipsearch.text import display_text, format_count, format_seconds
from ui import indexing
from ui import strings_library as strings
from ui.flash import show_error
from ui.indexing import WorkState
from ui.navigation import open_search
from ui.plain import plain
from ui.shared import library

_REFRESH_S = 1.0


def work(status: LibraryStatus) -> None:
    """The button and the progress, redrawn every second while indexing or migration runs."""
    running = indexing.background.state().running
    fragment = st.fragment(_work, run_every=_REFRESH_S if running else None)
    fragment(drawn_as_running=running, has_roots=bool(status.roots))


def begin_indexing(*folders: Path, retry_failed: bool = False) -> None:
    """Start indexing and redraw the page, or warn that other work is running."""
    if indexing.background.start_indexing(folders, retry_failed=retry_failed):
        st.rerun()
    st.warning(strings.BUSY)


def _work(*, drawn_as_running: bool, has_roots: bool) -> None:
    state = indexing.background.state()
    if state.running != drawn_as_running:
        st.rerun()
    if state.running:
        _running(state)
    else:
        _ended(state)
        if st.button(
            strings.INDEX_NOW,
            key="library_index_now",
            type="primary",
            icon=":material/sync:",
            help=strings.INDEX_NOW_HELP,
            disabled=not has_roots,
        ):
            begin_indexing()
        _read_text(has_roots=has_roots)


def _read_text(*, has_roots: bool) -> None:
    """The button that reads the text in pictures, and how far that has come."""
    if not has_extra("ocr"):
        return
    counts = library().texts.counts()
    pressed = st.button(
        strings.READ_TEXT,
        key="library_read_text",
        icon=":material/document_scanner:",
        help=strings.READ_TEXT_HELP,
        disabled=not has_roots or counts.read >= counts.contents,
    )
    if pressed and indexing.background.start_reading_text():
        st.rerun()
    if counts.read:
        st.caption(
            strings.TEXT_READ.format(
                read=f"{counts.read:,}", total=format_count(counts.contents, "picture"), found=f"{counts.with_text:,}"
            )
        )


def _running(state: WorkState) -> None:
    share = min(state.done / state.total, 1.0) if state.total else 0.0
    st.progress(share, text=describe(state))
    label = strings.STOPPING if state.stopping else strings.STOP
    st.button(
        label,
        key="library_stop",
        icon=":material/stop_circle:",
        on_click=indexing.background.stop,
        disabled=state.stopping,
    )
    _messages(state)


def describe(state: WorkState) -> str:
    """The progress in one line."""
    kind = state.kind or "index"
    if state.stopping:
        return strings.STOPPING_NOTE
    if state.total is None:
        return strings.PREPARING[kind]
    if state.done >= state.total and kind != "text":
        return strings.FINISHING
    working = strings.FITTING if state.of == "concept" else strings.WORKING[kind]
    parts = [working.format(done=f"{state.done:,}", total=f"{state.total:,}")]
    if state.images_per_second:
        parts.append(strings.RATE.format(rate=f"{state.images_per_second:,.1f}"))
    if state.remaining_s is not None:
        parts.append(strings.TIME_LEFT.format(time=format_seconds(round(state.remaining_s))))
    return " · ".join(parts)


def _ended(state: WorkState) -> None:
    if state.stopped and state.kind is not None:
        st.info(strings.STOPPED[state.kind], icon=":material/stop_circle:")
    if isinstance(state.report, IndexReport):
        st.success(_index_summary(state.report))
    elif isinstance(state.report, MigrationReport):
        _migration_summary(state.report)
    elif isinstance(state.report, TextReport):
        read, with_text = format_count(state.report.read, "picture"), f"{state.report.with_text:,}"
        st.success(strings.TEXT_DONE.format(read=read, found=with_text, time=format_seconds(state.report.seconds)))
    if state.error is not None:
        show_error(state.error)
    _new_matches(state)
    _messages(state)


def _index_summary(report: IndexReport) -> str:
    counts = {
        "unchanged": report.unchanged,
        "sidecars": report.sidecars,
        "moved": report.moved,
        "removed": report.removed,
        "missing": report.missing,
        "failures": len(report.failures),
    }
    details = [strings.INDEXED_DETAILS[name].format(count=f"{count:,}") for name, count in counts.items() if count]
    if report.offline:
        roots = format_count(len(report.offline), "root")
        details.append(strings.INDEXED_DETAILS["offline"].format(count=roots))
    pictures = format_count(report.indexed, "picture")
    changed = report.indexed or report.removed or report.moved or report.sidecars
    head = (
        strings.INDEXED.format(count=pictures, time=format_seconds(report.seconds)) if changed else strings.NOTHING_NEW
    )
    return f"{head} {', '.join(details)}".strip() + ("." if details else "")


def _migration_summary(report: MigrationReport) -> None:
    if report.switched:
        pictures = format_count(report.embedded + report.from_preview, "picture")
        st.success(strings.MIGRATED.format(count=pictures, time=format_seconds(report.seconds)))
    else:
        st.warning(strings.NOT_SWITCHED.format(count=format_count(report.missing, "picture")))


def _new_matches(state: WorkState) -> None:
    for number, match in enumerate(state.new_matches):
        matches = format_count(match.count, "new match")
        label = strings.NEW_SINCE.format(count=matches, name=plain(match.name))
        if st.button(label, key=f"library_new_match_{number}", icon=":material/notifications:"):
            open_search(match.line)


def _messages(state: WorkState) -> None:
    if state.messages:
        with st.expander(strings.MESSAGES):
            st.text("\n".join(display_text(message) for message in state.messages))
