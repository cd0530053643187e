"""``clipsearch serve`` in a process of its own, and clients of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """One connection to a server, kept open."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self._headers = {"authorization": f"Bearer {token}"} if token is not None else {}

    def get(self, path: str, **parameters: object) -> Answer:
        return self._ask("GET", f"{path}?{urlencode(parameters)}" if parameters else path, None, {})

    def send_picture(self, path: str, content: bytes) -> Answer:
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\ncontent-disposition: form-data; name="image"; filename="x.png"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        return self._ask("POST", path, body, {"content-type": f"multipart/form-data; boundary={mark}"})

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, body=body, headers={**self._headers, **headers})
        response = self._connection.getresponse()
        return Answer(response.status, response.read())


@dataclass
class Server:
    """A server in a process of its own.

    Attributes:
        url: its address.
        process: to be ended by whoever started it.
        log: what it writes on stderr.
    """

    url: str
    process: subprocess.Popen[str]
    log: Path

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it as a service manager or Ctrl-C does; returns its exit status."""
        self.process.send_signal(how)
        return self.process.wait(timeout=60)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def serving(library: Path, *options: str, log: Path) -> Iterator[Server]:
    """Serve a library on any port that is free, until the end of the block at the latest."""
    command = [sys.executable, "-m", "clipsearch", "--library", str(library), "serve", "--port", "0", *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, f"it ended with status {process.wait(timeout=30)}: {log.read_text()}"
            yield Server(url, process, log)
        finally:
            process.kill()
