"""Zero-shot classification of search results by label names."""

from __future__ import annotations

from collections import defaultdict

import streamlit as st

from clipsearch.errors import ClipSearchError
from clipsearch.labeling.classification import Label
from clipsearch.retrieval.results import SearchResult
from clipsearch.text import display_text
from ui import strings_learn as strings
from ui.flash import show_error
from ui.named_pictures import admitted_line
from ui.plain import plain
from ui.search_results import EVERYTHING
from ui.shared import library

_MOST = 500
_SHOWN_PER_LABEL = 30
_PREVIEW_WIDTH = 140


def classify() -> None:
    """A form, and the classified pictures."""
    st.write(strings.CLASSIFY_TEXT)
    with st.form("learn_classify", border=False):
        labels = st.text_input(strings.LABELS, key="learn_labels", autocomplete="off")
        line = st.text_input(
            strings.CLASSIFY_QUERY, key="learn_classify_line", help=strings.CLASSIFY_QUERY_HELP, autocomplete="off"
        )
        limit = st.slider(strings.CLASSIFY_LIMIT, 10, _MOST, 100, step=10, key="learn_classify_limit")
        st.form_submit_button(strings.CLASSIFY_BUTTON, icon=":material/category:")
    names = [name for part in labels.split(",") if (name := part.strip())]
    if names:
        try:
            _by_label(admitted_line(line.strip()) or EVERYTHING, names, limit)
        except ClipSearchError as error:
            show_error(error)


def _by_label(line: str, names: list[str], limit: int) -> None:
    """The results of a search under their best label, by descending probability."""
    results = {result.path: result for result in library().search(line, k=limit)}
    by_label: dict[str, list[tuple[Label, SearchResult]]] = defaultdict(list)
    for picture in library().classify(line, names, limit=limit).best(1):
        if picture.path in results:  # another process may have changed the library in between
            by_label[picture.labels[0].name].append((picture.labels[0], results[picture.path]))
    for name in dict.fromkeys(names):
        pictures = sorted(by_label[name], key=lambda pair: -pair[0].probability)
        st.subheader(strings.LABEL_COUNT.format(label=plain(name), count=f"{len(pictures):,}"))
        if not pictures:
            st.caption(strings.LABEL_EMPTY)
        with st.container(horizontal=True):
            for label, result in pictures[:_SHOWN_PER_LABEL]:
                _preview(label, result)


def _preview(label: Label, result: SearchResult) -> None:
    name = display_text(result.path.name)
    with st.container(width=_PREVIEW_WIDTH):
        if result.thumbnail is not None:
            st.image(result.thumbnail, alt=strings.LABELLED_ALT.format(name=name, label=label.name), width="stretch")
        st.caption(f"{plain(name)} · {label.probability:.0%}")
