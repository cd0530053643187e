"""Messages on the page: errors in one box, and notices that are shown once the page is drawn anew."""

from __future__ import annotations

import logging

import streamlit as st

from clipsearch.errors import ClipSearchError, LibraryLockedError
from ui import strings, strings_library
from ui.plain import plain

logger = logging.getLogger(__name__)

_FLASH = "flash_message"


def show_error(error: Exception) -> None:
    """Say in one box what went wrong; that another process is writing is nothing to worry about."""
    if isinstance(error, LibraryLockedError):
        st.info(strings_library.LOCKED, icon=":material/hourglass_top:")
    elif isinstance(error, ClipSearchError):
        st.error(plain(str(error)))
    else:
        st.error(strings_library.UNEXPECTED.format(error=plain(repr(error))))


def show_script_error(error: Exception) -> bool:
    """Show in one line the error that ended the script; log it if nobody foresaw it.

    This module imports no page, so that the server can import it: what a page caches needs Streamlit's runtime.

    Returns:
        Whether the error has been dealt with: always.
    """
    text = str(error)
    if not isinstance(error, ClipSearchError):
        logger.error("the page failed", exc_info=error)
        text = strings.SCRIPT_ERROR.format(error=f"{type(error).__name__}: {error}")
    st.error(plain(text), icon=":material/error:")
    return True


def flash(message: str) -> None:
    """Keep a message for when the page is drawn anew."""
    st.session_state[_FLASH] = message


def show_flash() -> None:
    """Show the message that `flash` kept, once."""
    message = st.session_state.pop(_FLASH, None)
    if message is not None:
        st.toast(plain(message))
