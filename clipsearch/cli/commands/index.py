"""``clipsearch index``: add folders of pictures to the library, or update them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli.arguments import suggest_presets
from clipsearch.cli.options import common_options, encoder_options, open_library, wait_option
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
    "an open_clip architecture/pretrained pair, hf-hub:NAME or local-dir:PATH. A library keeps its model.",
)
@encoder_options
@click.option("--verify", is_flag=True, help="Read every file, to find changes under the same size and time.")
@click.option("--retry-failed", is_flag=True, help="Try files again that could not be read before.")
@click.option("--prune", is_flag=True, help="Remove what is gone, even if that is more than half of a folder.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be read and removed.")
@wait_option
@ray_options
@click.option("--profile", is_flag=True, help="Show where the time went, stage by stage.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
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
    dry_run: bool,
    wait_s: float,
    profile: bool,
    as_json: bool,
    ray: RaySettings | None,
) -> None:
    """Add folders of pictures to the library, or bring them up to date.

    Without FOLDER, every folder of the library. A folder may be an address that fsspec opens, such as
    s3://bucket/photos (docs/ray.md). Only new and changed pictures are embedded; renamed, moved and
    copied ones cost nothing. Pictures that are gone are removed from the library, unless their drive is not
    there, or they are more than half of a folder. An interrupted run carries on where it stopped. A file that
    cannot be read is skipped with its reason (see: clipsearch failures).

    \b
    Examples:
      clipsearch index ~/Pictures
      clipsearch index
      clipsearch index ~/Pictures --dry-run
      clipsearch index ~/Pictures --profile
      clipsearch index ~/Pictures /media/photos --model base
      clipsearch index --engine ray --ray-address 10.0.0.5:6379 /mnt/archive s3://bucket/photos
      clipsearch --library /media/photos/.clipsearch index /media/photos
    """
    from clipsearch.cli.commands.saved import format_new_match

    with (
        progress_reporter() as reporter,
        open_library(
            model=model, runtime=runtime, device=device, create=not dry_run, notify=reporter.notify
        ) as library,
    ):
        if dry_run:
            preview = library.preview_index(*folders, verify=verify, retry_failed=retry_failed)
        else:
            report = library.index(
                *folders,
                verify=verify,
                retry_failed=retry_failed,
                prune=prune,
                wait_s=wait_s,
                progress=reporter.update,
                ray=ray,
            )
            matches = library.saved.new_matches() if report.indexed else []
    if dry_run:
        write_json(preview_to_json(preview)) if as_json else click.echo(format_preview(preview))
    elif as_json:
        new = [asdict(match) for match in matches]
        write_json({**report_to_json(report), "new_matches": new})
    else:
        click.echo("\n".join([format_report(report), *(format_new_match(match) for match in matches)]))
        if profile:
            click.echo("\n" + format_stages(report))
