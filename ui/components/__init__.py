"""Custom Streamlit components: a script and a style each, in files beside this one."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer


@cache
def component(name: str, *, isolate_styles: bool = True) -> ComponentRenderer:
    """A component by name; it shows texts in its data as text, never as HTML.

    Args:
        name: the stem of its ``.js`` file and, if it has one, ``.css`` file.
        isolate_styles: whether its style applies to the component only.
    """
    import streamlit as st

    folder = files(__name__)
    style = folder / f"{name}.css"
    return st.components.v2.component(
        f"clipsearch_{name}",
        js=(folder / f"{name}.js").read_text(encoding="utf-8"),
        css=style.read_text(encoding="utf-8") if style.is_file() else None,
        isolate_styles=isolate_styles,
    )
