"""Messages on the page: errors, and notices that are shown after the next redraw."""

from __future__ import annotations

import logging

import streamlit as st

from clipsearch.errors import ClipSearchError, LibraryLockedError
from ui import strings, strings_library
from ui.plain import plain

logger = logging.getLogger(__name__)

_FLASH = "flash_message"


def show_error(error: Exception) -> None:
    """Show an error; as information if another process is writing."""
    if isinstance(error, LibraryLockedError):
        st.info(strings_library.LOCKED, icon=":material/hourglass_top:")
    elif isinstance(error, ClipSearchError):
        st.error(plain(str(error)))
    else:
        st.error(strings_library.UNEXPECTED.format(error=plain(repr(error))))


def show_script_error(error: Exception) -> bool:
    """Show the error that ended the script in one line, and log it if it is unexpected.

    This module imports no page, so that the server can import it: caches of pages need the Streamlit runtime.

    Returns:
        True, for Streamlit: the error is handled.
    """
    text = str(error)
    if not isinstance(error, ClipSearchError):
        logger.error("the page failed", exc_info=error)
        text = strings.SCRIPT_ERROR.format(error=f"{type(error).__name__}: {error}")
    st.error(plain(text), icon=":material/error:")
    return True


def flash(message: str) -> None:
    """Show a message after the next redraw."""
    st.session_state[_FLASH] = message


def show_flash() -> None:
    """Show the message of `flash` once."""
    message = st.session_state.pop(_FLASH, None)
    if message is not None:
        st.toast(plain(message))
