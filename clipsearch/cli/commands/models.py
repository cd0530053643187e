"""``clipsearch models``: the model presets, and compiling a model for CPUs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.options import debug_option, json_option
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import notify_on_stderr
from clipsearch.text import display_text, format_bytes

if TYPE_CHECKING:
    from PIL import Image

    from clipsearch.models.manifest import Candidate, ModelManifest
    from clipsearch.models.presets import Preset

_HEADINGS = ("Name", "Model", "Download", "Parameters", "Dim", "License", "Languages", "Installed")

_MIN_PICTURES, _MAX_PICTURES = 20, 128
"""For choosing the precision: with fewer, the ten nearest say little; more take longer without a better choice."""

_PICTURE_SIDE = 512
"""Decoded size of these pictures in pixels; more than the input of usual models."""


@click.group(invoke_without_command=True)
@json_option("Print a JSON list of objects.")
@debug_option
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models, or compile one for fast use on CPUs.

    Without a subcommand, lists the presets with download size, number of parameters, dimension of the embeddings,
    license, languages, and whether the model is on this machine. Every other open_clip model works, too:
    ARCHITECTURE/WEIGHTS, hf-hub:ORGANIZATION/NAME or local-dir:PATH.

    \b
    Examples:
      clipsearch models
      clipsearch models compile base
      clipsearch models compile local-dir:checkpoints/mine
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("put --json after the subcommand", context)
        return
    from clipsearch.models.presets import PRESETS

    rows = [_preset_to_json(preset) for preset in PRESETS.values()]
    if as_json:
        write_json(rows)
    elif sys.stdout.isatty():
        _write_table(rows)
    else:
        _write_aligned(rows)


@models.command("compile")
@click.argument("spec")
@click.option("--force", is_flag=True, help="Compile again even if the model is compiled already.")
@click.option(
    "--images",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Choose the precision with pictures of this folder instead of generated ones; compiles again.",
)
@json_option("Print a JSON object.")
@debug_option
def compile_model(spec: str, force: bool, folder: Path | None, as_json: bool) -> None:
    """Compile a model to ONNX, for CPUs without PyTorch.

    SPEC is a preset (see: clipsearch models), ARCHITECTURE/WEIGHTS, hf-hub:ORGANIZATION/NAME or local-dir:PATH. The
    compiled model is compared with the original on pictures and texts, and kept only if every cosine is at least 0.999
    and the tokens of every text are equal.

    Both towers are then quantized to 8 bits in several ways. The fastest on this machine is kept whose embeddings have
    a mean cosine of at least 0.99 and on average nine of the ten nearest pictures of a text in common. The table lists
    the candidates.

    \b
    Examples:
      clipsearch models compile base
      clipsearch models compile base --images ~/Pictures
      clipsearch models compile --force local-dir:checkpoints/mine
    """
    from clipsearch.models.loading import compile_spec
    from clipsearch.models.manifest import read_manifest

    images = _pictures(folder) if folder is not None else []
    directory = compile_spec(spec, force=force or bool(images), images=images, notify=notify_on_stderr)
    manifest = read_manifest(directory)
    size = sum(path.stat().st_size for path in directory.iterdir())
    if as_json:
        write_json(_compiled_to_json(manifest, directory, size))
    else:
        click.echo(format_compiled(manifest, directory, size))


def _pictures(folder: Path) -> list[Image.Image]:
    """Up to `_MAX_PICTURES` pictures from all over a folder; unreadable ones are skipped.

    Raises:
        ConfigError: fewer than `_MIN_PICTURES` can be read.
    """
    from clipsearch.errors import ConfigError, ImageReadError
    from clipsearch.media.decoding import load_image
    from clipsearch.media.formats import IMAGE_SUFFIXES

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    images: list[Image.Image] = []
    for path in files[:: max(1, len(files) // _MAX_PICTURES)]:
        try:
            images.append(load_image(path, min_side=_PICTURE_SIDE).image)
        except ImageReadError as error:
            notify_on_stderr(f"skipping {display_text(str(error))}")
        if len(images) == _MAX_PICTURES:
            break
    if len(images) < _MIN_PICTURES:
        raise ConfigError(
            f"{folder} has {len(images)} readable pictures; at least {_MIN_PICTURES} are needed to choose the precision"
        )
    return images


def format_compiled(manifest: ModelManifest, directory: Path, size: int) -> str:
    """The compiled model as text, several lines."""
    parity = ", ".join(f"{tower} {cosine:.6f}" for tower, cosine in sorted(manifest.parity.items()))
    pairs = [
        ("model", display_text(manifest.name)),
        ("weights", manifest.fingerprint),
        ("dimension", str(manifest.dim)),
        ("parity", f"{parity} (lowest cosine to open_clip)" if parity else "the original model, not a copy"),
        ("precision", ", ".join(f"{tower} {kind}" for tower, kind in sorted(manifest.precision.items()))),
    ]
    if manifest.rounding is not None:
        rounding = f"cosine {manifest.rounding.cosine:.4f}, {manifest.rounding.overlap:.1%} of the top 10 in common"
        pairs.append(("rounding", f"{rounding} (on {manifest.compared_on})"))
    pairs += [("size", format_bytes(size)), ("location", display_text(str(directory)))]
    lines = [f"{name:<10} {value}" for name, value in pairs]
    return "\n".join([*lines, *_candidates_table(manifest.candidates)])


def _candidates_table(candidates: Sequence[Candidate]) -> list[str]:
    """One line per candidate; empty for a model that came compiled."""
    if not candidates:
        return []
    rows = [
        (
            candidate.tower,
            candidate.precision,
            f"{candidate.speed:.1f}/s",
            f"{candidate.load_ms:.0f} ms",
            format_bytes(candidate.bytes),
            f"{candidate.cosine:.4f}",
            f"{candidate.overlap:.1%}",
            "kept" if candidate.kept else "",
        )
        for candidate in candidates
    ]
    return ["", *_aligned([("Tower", "Precision", "Speed", "Load", "Size", "Cosine", "Top 10", ""), *rows])]


def _compiled_to_json(manifest: ModelManifest, directory: Path, size: int) -> dict[str, Any]:
    return {
        "model": manifest.name,
        "fingerprint": manifest.fingerprint,
        "dim": manifest.dim,
        "parity": manifest.parity,
        "precision": manifest.precision,
        "rounding": asdict(manifest.rounding) if manifest.rounding is not None else None,
        "compared_on": manifest.compared_on,
        "candidates": [asdict(candidate) for candidate in manifest.candidates],
        "bytes": size,
        "path": str(directory),
    }


def _preset_to_json(preset: Preset) -> dict[str, Any]:
    from clipsearch.models.presets import preset_cached

    return {
        "name": preset.name,
        "model": preset.spec,
        "download_mb": preset.download_mb,
        "parameters_m": preset.parameters_m,
        "dim": preset.dim,
        "licence": preset.licence,
        "languages": list(preset.languages),
        "cached": preset_cached(preset),
        "description": preset.description,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        row["model"],
        f"{row['download_mb']:,} MB" if row["download_mb"] else "none",
        f"{row['parameters_m']:.0f} M",
        str(row["dim"]),
        row["licence"],
        "many" if row["languages"] == ["*"] else ", ".join(row["languages"]),
        "yes" if row["cached"] else "no",
    )


def _write_table(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("Download", "Parameters", "Dim") else "left")
    for row in rows:
        table.add_row(*_cells(row))
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    for row in rows:
        console.print(f"{row['name']}: {row['description']}")


def _write_aligned(rows: list[dict[str, Any]]) -> None:
    for line in _aligned([_HEADINGS, *(_cells(row) for row in rows)]):
        click.echo(line)


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
