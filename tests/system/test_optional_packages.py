"""Missing extras are named in one line and detected without imports."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from clipsearch.errors import ConfigError
from clipsearch.system.optional_packages import EXTRAS, has_extra, require_extra
from tests.conftest import ROOT


def test_a_missing_extra_is_named_with_its_install_command() -> None:
    assert has_extra("scale", "json", "pathlib") and not has_extra("scale", "json", "no_such_module_anywhere")
    require_extra("scale", "json", "pathlib", what="this test")
    with pytest.raises(ConfigError, match=r"this test needs more.*pip install 'clipsearch\[scale\]'"):
        require_extra("scale", "json", "no_such_module_anywhere", what="this test")


def test_every_extra_is_one_of_the_project_and_its_modules_exist_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"].keys() - EXTRAS.keys() == {"all", "dev", "docs", "lint"}
    for extra in EXTRAS.keys() - {"train"}:  # which `dev` leaves out
        assert has_extra(extra), extra


def test_looking_for_an_extra_imports_nothing() -> None:
    code = (
        "import sys; from clipsearch.system.optional_packages import EXTRAS, has_extra; "
        "found = [has_extra(extra) for extra in EXTRAS]; "
        "print({name for modules in EXTRAS.values() for name in modules} & sys.modules.keys() or 'nothing')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nothing"
