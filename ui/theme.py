"""A light and a dark theme with WCAG AA contrast, and system fonts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Theme:
    """The colors of one theme, as ``#rrggbb``.

    Attributes:
        background: the page.
        secondary: input fields and panels.
        text: text on both.
        primary: selected text, and the focus ring.
        link: links.
        border: borders of input fields.
        danger: warnings.
        success: confirmations.
        muted: captions.
    """

    background: str
    secondary: str
    text: str
    primary: str
    link: str
    border: str
    danger: str
    success: str
    muted: str


LIGHT = Theme(
    background="#ffffff",
    secondary="#f1f3f6",
    text="#0b0d10",
    primary="#1756b3",
    link="#1756b3",
    border="#7d8590",
    danger="#a4161a",
    success="#156534",
    muted="#555d68",
)

DARK = Theme(
    background="#14171b",
    secondary="#20252b",
    text="#e8eaed",
    primary="#8ab8ff",
    link="#8ab8ff",
    border="#757e8a",
    danger="#ff9c96",
    success="#7ddc9b",
    muted="#a9b1bc",
)

FILLED, FILLED_HOVERED = "#2f74d0", "#2a6bc2"
"""Background of white text in both themes; the primary color would lack contrast."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
_CODE_FONT = "ui-monospace, 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


@cache
def page_style() -> str:
    """The style sheet of the page as an HTML element."""
    rules = files("ui").joinpath("page.css").read_text(encoding="utf-8")
    return f"<style>:root {{ --filled: {FILLED}; --filled-hovered: {FILLED_HOVERED} }}\n{rules}</style>"


def theme_options() -> dict[str, object]:
    """Streamlit options for both themes; the browser chooses by the system setting."""
    options: dict[str, object] = {"theme.font": _FONT, "theme.headingFont": _FONT, "theme.codeFont": _CODE_FONT}
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        options |= {
            f"theme.{name}.backgroundColor": theme.background,
            f"theme.{name}.secondaryBackgroundColor": theme.secondary,
            f"theme.{name}.textColor": theme.text,
            f"theme.{name}.primaryColor": theme.primary,
            f"theme.{name}.linkColor": theme.link,
            f"theme.{name}.borderColor": theme.border,
            f"theme.{name}.redTextColor": theme.danger,
            f"theme.{name}.greenTextColor": theme.success,
            f"theme.{name}.grayTextColor": theme.muted,
        }
    return options | {
        "theme.showWidgetBorder": True,
        "theme.baseRadius": "0.4rem",
        "theme.headingFontSizes": ["2rem", "1.5rem", "1.25rem", "1.1rem", "1rem", "1rem"],
    }
