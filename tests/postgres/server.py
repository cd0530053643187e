"""A PostgreSQL server for tests, in a temporary directory, on a local socket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from clipsearch.catalog.catalog import Catalog
from clipsearch.config import DatabaseUrl, library_place

USER = "clipsearch"

_START_S = 60.0

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "autovacuum": "off",
}


def _programs() -> Path:
    """Directory of initdb and postgres."""
    if named := os.environ.get("CLIPSEARCH_POSTGRESQL"):
        return Path(named)
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert installed, "there is no PostgreSQL server; install it with: tests/postgres/install_postgresql.sh"
    return installed[-1]


def _as_who() -> dict[str, Any]:
    """Options to run as another user than root, which PostgreSQL refuses."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def _run(directory: Path) -> subprocess.Popen[bytes]:
    """Start the server of a cluster."""
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("ab") as log:
        return subprocess.Popen(
            [_programs() / "postgres", "-D", directory / "data", "-k", directory, *settings],
            stdout=log,
            stderr=log,
            cwd=directory,
            **_as_who(),
        )


@dataclass
class PostgresServer:
    """A running server; stopped at the end of its context."""

    directory: Path
    process: subprocess.Popen[bytes]
    _numbers: Any = field(default_factory=count)

    @classmethod
    def start(cls) -> Self:
        """Make a cluster and start its server."""
        directory = Path(tempfile.mkdtemp(prefix="clipsearch-postgres-"))
        who = _as_who()
        if who:
            shutil.chown(directory, who["user"], who["group"])
        made = [_programs() / "initdb", "-D", directory / "data", "-U", USER]
        made += ["--auth=trust", "--encoding=UTF8", "--locale=C", "-N"]
        subprocess.run(made, check=True, capture_output=True, cwd=directory, **who)
        server = cls(directory, _run(directory))
        server._wait()
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server and delete its data."""
        self.go_down()
        shutil.rmtree(self.directory)

    def go_down(self) -> None:
        """Stop the server."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def come_back(self) -> None:
        """Restart the server after `go_down`."""
        self.process = _run(self.directory)
        self._wait()

    def address(self, database: str, *, options: str = "") -> str:
        """URL of a database."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.directory}{options}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run a statement outside of a transaction."""
        with psycopg.connect(user=USER, host=str(self.directory), dbname=database, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def program(self, name: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run one of PostgreSQL's programs and return its output."""
        command = [_programs() / name, "-U", USER, "-h", self.directory, *arguments]
        return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE).stdout

    def empty_database(self) -> DatabaseUrl:
        """An empty database."""
        name = f"empty_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self._place(name)

    def catalog(self) -> DatabaseUrl:
        """A database with an empty catalog, copied from a template, which is faster than creating tables."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'pattern'"):
            self.execute("CREATE DATABASE pattern")
            Catalog(self._place("pattern"), create=True).close()
        name = f"catalog_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE pattern")
        return self._place(name)

    def _place(self, database: str) -> DatabaseUrl:
        place = library_place(self.address(database))
        assert isinstance(place, DatabaseUrl)
        return place

    def _wait(self) -> None:
        until = time.monotonic() + _START_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                log = (self.directory / "log").read_text(errors="replace")
                assert self.process.poll() is None and time.monotonic() < until, log
                time.sleep(0.05)
