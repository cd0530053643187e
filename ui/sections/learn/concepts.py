"""Concepts: the list, suggestions to confirm or reject, and a form to add one."""

from __future__ import annotations

import streamlit as st

from clipsearch.errors import ClipSearchError
from clipsearch.labeling.concepts.values import ConceptDetails, Suggestion
from clipsearch.text import display_text
from ui import strings_learn as strings
from ui.flash import flash, show_error
from ui.named_pictures import admitted_picture
from ui.navigation import open_search
from ui.plain import plain
from ui.shared import library

_SUGGESTING = "learn_concept"
"""The concept whose suggestions are shown."""

_SUGGESTED = 6
_CARD_WIDTH = 180


def concepts() -> None:
    """Draw the section."""
    st.write(strings.CONCEPTS_TEXT)
    all_concepts = library().concepts.all()
    if not all_concepts:
        st.info(strings.NO_CONCEPTS)
    for number, concept in enumerate(all_concepts):
        _concept(number, concept)
    name = st.session_state.get(_SUGGESTING)
    if name is not None and any(concept.name == name for concept in all_concepts):
        _suggestions(name)
    _add()


def _concept(number: int, concept: ConceptDetails) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container():
            st.text(display_text(strings.CONCEPT_LINE.format(name=concept.name)))
            counts = strings.CONCEPT_COUNTS.format(positives=concept.positives, negatives=concept.negatives)
            st.caption(" · ".join([counts, *([plain(concept.text)] if concept.text else [])]))
        with st.container(horizontal=True, width="content"):
            if st.button(strings.CONCEPT_SEARCH, key=f"learn_concept_search_{number}", icon=":material/search:"):
                open_search(f"@{concept.name}")
            if st.button(strings.CONCEPT_SUGGEST, key=f"learn_concept_suggest_{number}"):
                st.session_state[_SUGGESTING] = concept.name
                st.rerun()
            if st.button(strings.CONCEPT_REMOVE, key=f"learn_concept_remove_{number}"):
                library().concepts.remove(concept.name)
                flash(strings.CONCEPT_REMOVED.format(name=concept.name))
                st.rerun()


def _suggestions(name: str) -> None:
    with st.container(border=True):
        st.subheader(strings.SUGGESTIONS.format(name=plain(name)))
        try:
            suggested = library().concepts.suggest(name, k=_SUGGESTED)
        except ClipSearchError as error:
            show_error(error)
            suggested = []
        if not suggested:
            st.write(strings.NO_SUGGESTIONS)
        with st.container(horizontal=True):
            for suggestion in suggested:
                _card(name, suggestion)
        if st.button(strings.SUGGESTIONS_CLOSE, key="learn_suggestions_close"):
            del st.session_state[_SUGGESTING]
            st.rerun()


def _card(name: str, suggestion: Suggestion) -> None:
    file_name = display_text(suggestion.path.name)
    with st.container(border=True, width=_CARD_WIDTH):
        if suggestion.thumbnail is not None:
            st.image(suggestion.thumbnail, alt=strings.SUGGESTION_ALT.format(name=file_name), width="stretch")
        st.text(file_name)
        st.caption(strings.LIKELY.format(share=f"{suggestion.probability:.0%}"))
        with st.container(horizontal=True):
            for label, teach in ((strings.CONFIRM, True), (strings.REJECT, False)):
                if st.button(label, key=f"learn_{'confirm' if teach else 'reject'}_{suggestion.content_hash}"):
                    _teach(name, suggestion, positive=teach)


def _teach(name: str, suggestion: Suggestion, *, positive: bool) -> None:
    teach = library().concepts.confirm if positive else library().concepts.reject
    try:
        teach(name, f"~#{suggestion.content_hash}")
    except ClipSearchError as error:
        show_error(error)
    else:
        flash(strings.TAUGHT.format(name=name))
        st.rerun()


def _add() -> None:
    st.subheader(strings.ADD_CONCEPT)
    with st.form("learn_add_concept", border=False):
        name = st.text_input(strings.ADD_NAME, key="learn_concept_name", autocomplete="off")
        text = st.text_input(strings.ADD_TEXT, key="learn_concept_text", help=strings.ADD_TEXT_HELP, autocomplete="off")
        positives = st.text_area(strings.ADD_EXAMPLES, key="learn_concept_positives", help=strings.ADD_EXAMPLES_HELP)
        negatives = st.text_area(strings.ADD_COUNTER, key="learn_concept_negatives", help=strings.ADD_COUNTER_HELP)
        add = st.form_submit_button(strings.ADD_BUTTON, icon=":material/school:")
    if add:
        try:
            concept = library().concepts.add(
                (name or "").strip(),
                _pictures(positives),
                negatives=_pictures(negatives),
                text=(text or "").strip() or None,
            )
        except ClipSearchError as error:
            show_error(error)
        else:
            flash(strings.ADDED.format(name=concept.name))
            st.rerun()


def _pictures(text: str | None) -> list[str]:
    """Parse one picture per line."""
    return [admitted_picture(line.strip()) for line in (text or "").splitlines() if line.strip()]
