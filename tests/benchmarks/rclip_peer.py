"""rclip, from the package index in an environment of its own, with the model files of `tests.benchmarks.models`.

It looks for its model, its vocabulary and its database in ``RCLIP_DATADIR``; where the files are there, it asks no
hub for anything.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.models import RCLIP_MODEL, RCLIP_VOCABULARY
from tests.benchmarks.timing import BenchmarkError, offline, run

REQUIREMENT = "rclip==4.0.8"
PYTHONS = ("3.13", "3.12")
"""Versions that it runs on, which may not be that of the suite."""
DATABASE = "db.sqlite3"
DIM = 512
_LEGAL = ("LICENSE", "OPENAI-CLIP-MIT.txt", "README.md", "THIRD_PARTY_NOTICES.md")
"""Files without which it asks the hub for them."""

_INDEX = (
    "import os; from rclip.main import init_rclip; parts = init_rclip(os.getcwd(), 8); [part.close() for part in parts]"
)
"""What ``rclip QUERY`` does before it searches, with its default batch; the program has no command for it alone."""

_VERSIONS = (
    "import platform; from importlib.metadata import version as v; "
    "print(v('rclip'), platform.python_version(), v('onnxruntime'), v('pillow'), v('numpy'))"
)


@dataclass(frozen=True)
class Rclip:
    """An installed rclip.

    Attributes:
        environment: the virtual environment it is in.
        models: its prepared model files.
    """

    environment: Path
    models: Path

    @property
    def _programs(self) -> Path:
        return self.environment / ("Scripts" if os.name == "nt" else "bin")

    def versions(self) -> dict[str, str]:
        """Of the program and of the libraries that do its work."""
        _, said = run([str(self._programs / "python"), "-c", _VERSIONS], environment=offline())
        return dict(zip(("rclip", "python", "onnxruntime", "pillow", "numpy"), said.split(), strict=True))

    def make_data_folder(self, folder: Path) -> None:
        """A data folder with the model files in it, hard-linked, and no database yet."""
        for path in (RCLIP_MODEL / "visual.onnx", RCLIP_MODEL / "textual.onnx", RCLIP_VOCABULARY):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.models / path, folder / path)
        for name in _LEGAL:
            (folder / name).touch()

    def index(self, photos: Path, *, data: Path) -> float:
        """Index a folder in a new process, and return the wall time in seconds."""
        seconds, _ = run(self.index_command(), environment=offline(RCLIP_DATADIR=data), cwd=photos)
        return seconds

    def search(self, query: str, photos: Path, *, data: Path) -> float:
        """Search in a new process, without a look at the files, and return the wall time in seconds."""
        seconds, said = run(self.search_command(query), environment=offline(RCLIP_DATADIR=data), cwd=photos)
        if len(said.splitlines()) != 10:
            raise BenchmarkError("rclip did not find ten pictures")
        return seconds

    def index_command(self) -> list[str]:
        """The command line of `index`, to be run in the folder of photos."""
        return [str(self._programs / "python"), "-P", "-c", _INDEX]

    def search_command(self, query: str) -> list[str]:
        """The command line of `search`, to be run in the folder of photos."""
        return [str(self._programs / "rclip"), "--no-indexing", "--filepath-only", query]


def install(cache: Path, models: Path) -> Rclip:
    """Install the peer, unless a run before has.

    Raises:
        BenchmarkError: it cannot be had.
    """
    environment = cache / REQUIREMENT.replace("==", "-")
    peer = Rclip(environment, models / "rclip")
    done = environment / "installed"
    if not done.exists():
        shutil.rmtree(environment, ignore_errors=True)
        run([_python(), "-m", "venv", str(environment)], environment=dict(os.environ))
        pip = [str(peer._programs / "python"), "-m", "pip", "install", "--quiet", REQUIREMENT]
        try:
            run(pip, environment=dict(os.environ))
        except BenchmarkError as error:
            raise BenchmarkError(f"rclip cannot be installed: {error}") from error
        done.touch()
    return peer


def _python() -> str:
    """A Python that the peer runs on: this one, one on the path, or one of pyenv or uv.

    Raises:
        BenchmarkError: there is none.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    for version in PYTHONS:
        on_path = [Path(found)] if (found := shutil.which(f"python{version}")) else []
        for program in [*on_path, *pyenv.glob(f"{version}*/bin/python"), *uv.glob(f"cpython-{version}*/bin/python3")]:
            try:
                run([str(program), "-c", "import venv, ensurepip"], environment=dict(os.environ))
            except BenchmarkError:  # a shim for a version that is not installed
                continue
            return str(program)
    raise BenchmarkError(f"{REQUIREMENT} needs Python {' or '.join(PYTHONS)}, which is not on this machine")


def indexed_photos(data: Path) -> int:
    """How many photos the database in a data folder holds."""
    connection = sqlite3.connect(data / DATABASE)
    try:
        return int(connection.execute("SELECT count(*) FROM images WHERE deleted IS NULL").fetchone()[0])
    finally:
        connection.close()
