"""Commands that need more than is installed say so in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clipsearch.cli import cli
from clipsearch.cli.commands import mcp as mcp_command
from clipsearch.cli.commands import serve as serve_command
from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import require_extra


def test_what_is_missing_is_told_with_how_to_get_it() -> None:
    require_extra("scale", "json", "pathlib", what="this test")
    with pytest.raises(ConfigError, match=r"this test needs more.*pip install 'clipsearch\[scale\]'"):
        require_extra("scale", "json", "no_such_module_anywhere", what="this test")


@pytest.mark.parametrize("command", ["serve", "mcp"])
def test_commands_say_it_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for module in (serve_command, mcp_command):
        monkeypatch.setattr(module, "MODULES", ("no_such_module_anywhere",))
    refused = CliRunner().invoke(cli, ["--library", str(tmp_path / "library"), command])
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 1 and "pip install 'clipsearch[scale]'" in line and "clipsearch index" not in line
