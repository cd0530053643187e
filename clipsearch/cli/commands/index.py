"""``clipsearch index``: add folders to the library, or update it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli.arguments import suggest_presets
from clipsearch.cli.options import common_options, encoder_options, json_option, open_library, wait_option
from clipsearch.cli.output import write_json
from clipsearch.cli.progress import progress_reporter
from clipsearch.cli.ray_options import ray_options
from clipsearch.cli.report import format_preview, format_report, format_stages, preview_to_json, report_to_json
from clipsearch.system.ray_settings import RaySettings


@click.command()
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="SPEC",
    shell_complete=suggest_presets,
    help="The model of a new library: auto (the default), a preset such as mini or base (see: clipsearch models), "
    "ARCHITECTURE/WEIGHTS of open_clip, hf-hub:NAME or local-dir:PATH. To change it later: clipsearch migrate.",
)
@encoder_options
@click.option("--verify", is_flag=True, help="Read every file, to find changes that kept size and time.")
@click.option("--retry-failed", is_flag=True, help="Retry files that could not be read before.")
@click.option("--prune", is_flag=True, help="Remove missing pictures even if they are more than half of a root.")
@click.option(
    "--exclude",
    metavar="PATTERN",
    multiple=True,
    help="Leave out what matches (gitignore syntax): drafts/, *.png, !drafts/final/. Remembered for each FOLDER, or "
    "without one for the library; change it with clipsearch roots exclude. Can be repeated.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be indexed and removed.")
@click.option("--text", "with_text", is_flag=True, help="Then read the text in pictures (see: clipsearch text).")
@wait_option
@ray_options
@click.option("--profile", is_flag=True, help="Print the time of each stage.")
@json_option()
@common_options
def index(
    *,
    folders: tuple[Path, ...],
    model: str | None,
    runtime: str,
    device: str,
    verify: bool,
    retry_failed: bool,
    prune: bool,
    exclude: tuple[str, ...],
    dry_run: bool,
    with_text: bool,
    wait_s: float,
    profile: bool,
    as_json: bool,
    ray: RaySettings | None,
) -> None:
    """Add folders to the library, or update it.

    Each FOLDER becomes a root of the library; without FOLDER, all roots are updated. A root may be a URL that fsspec
    can open, such as s3://bucket/photos (docs/ray.md). Only new and changed pictures are embedded; renamed, moved and
    copied files are not. Pictures that are missing on disk are removed from the library, unless the root is offline or
    more than half of it is missing. Hidden files, folders with a .nomedia file and the private folders of
    other programs are excluded (docs/indexing.md). An interrupted run continues where it stopped. A file that cannot be
    read is skipped (see: clipsearch failures).

    \b
    Examples:
      clipsearch index ~/Pictures
      clipsearch index
      clipsearch index ~/Pictures --dry-run
      clipsearch index ~/Pictures --exclude 'drafts/' --exclude '*.png'
      clipsearch index ~/Pictures --profile
      clipsearch index ~/Pictures /media/photos --model base
      clipsearch index --engine ray --ray-address 10.0.0.5:6379 /mnt/archive s3://bucket/photos
      clipsearch --library /media/photos/.clipsearch index /media/photos
    """
    from clipsearch.cli.commands.saved import format_new_match
    from clipsearch.cli.commands.text import format_text_report
    from clipsearch.system.optional_packages import require_extra

    if with_text:
        require_extra("ocr", what="--text")
    with (
        progress_reporter() as reporter,
        open_library(
            model=model, runtime=runtime, device=device, create=not dry_run, notify=reporter.notify
        ) as library,
    ):
        if dry_run:
            preview = library.preview_index(*folders, verify=verify, retry_failed=retry_failed, exclude=exclude)
        else:
            report = library.index(
                *folders,
                verify=verify,
                retry_failed=retry_failed,
                prune=prune,
                exclude=exclude,
                wait_s=wait_s,
                progress=reporter.update,
                ray=ray,
            )
            matches = library.saved.new_matches() if report.indexed else []
            text_report = library.texts.read(progress=reporter.update) if with_text else None
    if dry_run:
        write_json(preview_to_json(preview)) if as_json else click.echo(format_preview(preview))
    elif as_json:
        new = [asdict(match) for match in matches]
        read = {"text": asdict(text_report)} if text_report is not None else {}
        write_json({**report_to_json(report), "new_matches": new, **read})
    else:
        click.echo("\n".join([format_report(report), *(format_new_match(match) for match in matches)]))
        if text_report is not None:
            click.echo(f"text: {format_text_report(text_report)}")
        if profile:
            click.echo("\n" + format_stages(report))
