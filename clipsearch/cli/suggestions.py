"""What shell completion suggests for arguments that are not files: saved searches, concepts, roots, model presets."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from clipsearch.catalog.completion_reads import Glanced, glance
from clipsearch.cli.options import Settings
from clipsearch.config import library_place


def suggest_saved(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the library's saved searches."""
    return _from_library(context, "saved", incomplete)


def suggest_concepts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the library's concepts."""
    return _from_library(context, "concepts", incomplete)


def suggest_roots(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The indexed folders."""
    return _from_library(context, "roots", incomplete)


def suggest_presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models that have a short name."""
    from clipsearch.models.presets import PRESETS

    return [
        CompletionItem(preset.name, help=preset.description)
        for preset in PRESETS.values()
        if preset.name.startswith(incomplete)
    ]


def _from_library(context: click.Context, what: Glanced, incomplete: str) -> list[CompletionItem]:
    named = context.ensure_object(Settings).library
    library = named if named is not None else library_place()
    found = glance(library, what) if isinstance(library, Path) else []  # a database is too far for a completion
    return [CompletionItem(text) for text in found if text.startswith(incomplete)]
