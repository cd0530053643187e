"""``clipsearch check``: check the library, and repair it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli.errors import EXIT_ERROR
from clipsearch.cli.options import common_options, json_option, open_library
from clipsearch.cli.output import write_json
from clipsearch.text import display_text, format_count

if TYPE_CHECKING:
    from clipsearch.maintenance.check import CheckReport, Finding


@click.command()
@click.option("--repair", is_flag=True, help="Repair the damage that can be repaired, then check again.")
@click.option("--full", is_flag=True, help="Check every embedding and preview instead of a thousand of each.")
@json_option("Print a JSON object.")
@common_options
@click.pass_context
def check(context: click.Context, *, repair: bool, full: bool, as_json: bool) -> None:
    """Check the library for damage, and repair it.

    Compares the catalog, the vector index and the previews. The exit status is 0 if there is no damage or all of it
    was repaired, and 1 if damage remains. A line marked "note" is information, not damage. The pictures themselves
    are read only to make missing previews.

    \b
    Examples:
      clipsearch check
      clipsearch check --full
      clipsearch check --repair
    """
    with open_library() as library:
        report = library.maintenance.check(repair=repair, full=full)
    if as_json:
        write_json(check_to_json(report))
    else:
        click.echo(format_check(report, repaired=repair))
    if not report.is_sound:
        context.exit(EXIT_ERROR)


def format_check(report: CheckReport, *, repaired: bool) -> str:
    """The report as text, several lines."""
    checked = [
        f"{format_count(report.files, 'file')} ({format_count(report.images, 'distinct picture')})",
        format_count(report.embeddings, "embedding"),
        format_count(report.previews, "preview"),
    ]
    if report.stopped:
        checked = ["the catalog file only; the rest needs an undamaged catalog"]
    lines = [f"checked    {', '.join(checked)}"]
    lines += [f"repaired   {_describe(finding)}" for finding in report.repaired]
    for finding in sorted(report.findings, key=lambda finding: not finding.is_damage):
        lines.append(f"{'damage' if finding.is_damage else 'note':<10} {_describe(finding)}")
        lines.append(f"           → {display_text(finding.remedy)}")
    return "\n".join([*lines, f"result     {_result(report, repaired=repaired)}"])


def check_to_json(report: CheckReport) -> dict[str, Any]:
    """What ``clipsearch check --json`` prints."""
    return {
        "sound": report.is_sound,
        "files": report.files,
        "images": report.images,
        "embeddings": report.embeddings,
        "previews": report.previews,
        "sample": report.sample,
        "stopped": report.stopped,
        "findings": [_finding_to_json(finding) for finding in report.findings],
        "mended": [_finding_to_json(finding) for finding in report.repaired],
    }


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    values = asdict(finding)
    words = f"{values.pop('noun')} {values.pop('rest')}"
    return {"code": values.pop("code"), "what": words, **values}


def _describe(finding: Finding) -> str:
    example = f": {display_text(finding.example)}" if finding.example else ""
    return f"{format_count(finding.count, finding.noun)} {display_text(finding.rest)}{example}"


def _result(report: CheckReport, *, repaired: bool) -> str:
    if report.is_sound:
        return "no damage"
    if not repaired and any(finding.is_damage and finding.repairable for finding in report.findings):
        return "damaged; repair it with: clipsearch check --repair"
    return "damaged; see the remedies above"
