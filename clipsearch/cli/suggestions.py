"""What shell completion suggests for arguments that are not files: saved names, roots and model presets."""

from __future__ import annotations

from typing import Literal

import click
from click.shell_completion import CompletionItem

from clipsearch.cli.options import Settings
from clipsearch.config import default_library_dir


def suggest_saved(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the library's saved searches."""
    return _from_library(context, "saved", incomplete)


def suggest_roots(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The indexed folders."""
    return _from_library(context, "roots", incomplete)


def suggest_presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models that have a short name."""
    from clipsearch.encoders.presets import PRESETS

    return [
        CompletionItem(preset.name, help=preset.description)
        for preset in PRESETS.values()
        if preset.name.startswith(incomplete)
    ]


def _from_library(context: click.Context, what: Literal["saved", "roots"], incomplete: str) -> list[CompletionItem]:
    from clipsearch.store.glance import glance

    named = context.ensure_object(Settings).library
    library = named if named is not None else default_library_dir()
    found = glance(library, what)
    return [CompletionItem(text) for text in found if text.startswith(incomplete)]
