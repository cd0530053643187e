"""Contrast of both themes, by WCAG 2.2: 4.5 for letters, 3 for what has to be seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ui import components
from ui.theme import DARK, FILLED, FILLED_HOVERED, LIGHT, Theme, page_style, theme_options

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])

WHITE = "#ffffff"

TINTS = (0.1, 0.2)
"""Shares of the primary color behind selected text, without and with the pointer on it."""

CAPTION_OPACITY = 0.6
"""With which Streamlit draws captions over the background."""


def _channels(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def _luminance(channels: list[float]) -> float:
    """Source: WCAG 2.2, definition of relative luminance."""
    linear = [value / 255 for value in channels]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in linear]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: list[float], second: list[float]) -> float:
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast(_channels("#000000"), _channels(WHITE)) == pytest.approx(21)
    assert contrast(_channels("#767676"), _channels(WHITE)) == pytest.approx(4.54, abs=0.01)


@THEMES
@pytest.mark.parametrize("ground", ["background", "secondary"])
@pytest.mark.parametrize("letters", ["text", "link", "danger", "success", "muted", "primary"])
def test_letters_can_be_read(theme: Theme, letters: str, ground: str) -> None:
    assert contrast(_channels(getattr(theme, letters)), _channels(getattr(theme, ground))) >= 4.5


@THEMES
@pytest.mark.parametrize("ground", ["background", "secondary"])
def test_captions_can_be_read(theme: Theme, ground: str) -> None:
    text, under = _channels(theme.text), _channels(getattr(theme, ground))
    faded = [CAPTION_OPACITY * a + (1 - CAPTION_OPACITY) * b for a, b in zip(text, under, strict=True)]
    assert contrast(faded, under) >= 4.5


@THEMES
@pytest.mark.parametrize("ground", ["background", "secondary"])
@pytest.mark.parametrize("share", TINTS)
def test_what_is_chosen_can_be_read(theme: Theme, ground: str, share: float) -> None:
    letters, under = _channels(theme.primary), _channels(getattr(theme, ground))
    tinted = [share * a + (1 - share) * b for a, b in zip(letters, under, strict=True)]
    assert contrast(letters, tinted) >= 4.5


@THEMES
@pytest.mark.parametrize("filled", [FILLED, FILLED_HOVERED])
def test_the_main_button_can_be_read_and_seen(theme: Theme, filled: str) -> None:
    assert contrast(_channels(filled), _channels(WHITE)) >= 4.5
    assert contrast(_channels(filled), _channels(theme.background)) >= 3


def test_white_letters_stand_on_that_colour_alone() -> None:
    assert f"--filled: {FILLED}" in page_style() and f"--filled-hovered: {FILLED_HOVERED}" in page_style()
    for sheet in Path(components.__file__).parent.glob("*.css"):
        for rule in sheet.read_text().split("}"):
            if re.search(r"color: #fff(fff)?;", rule.replace("background-color", "")):
                assert "--st-primary-color" not in rule, f"{sheet.name}: {rule}"


@THEMES
def test_borders_can_be_seen(theme: Theme) -> None:
    assert contrast(_channels(theme.border), _channels(theme.background)) >= 3


def test_streamlit_knows_every_option() -> None:
    from streamlit import config

    config.get_config_options()
    assert set(theme_options()) <= set(config._config_options_template)


def test_no_font_is_fetched() -> None:
    assert not [value for value in theme_options().values() if "://" in str(value)]
