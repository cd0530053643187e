"""The socket on which something is served."""

from __future__ import annotations

import errno
import ipaddress
import socket

from clipsearch.errors import ConfigError

_PORTS_TRIED = 50

_FIRST_FREE_FOR_ALL = 1024

_TAKEN = {errno.EADDRINUSE, errno.EACCES}
"""The second is what Windows says of a port that another program has for itself."""


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server that is bound to an address."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name: it may stand for anything
        return False


def listen(address: str, port: int | None, *, first: int) -> socket.socket:
    """A socket that nobody else can take any more.

    Args:
        address: to bind to.
        port: the port that is named; ``None`` for the first that is free.
        first: the first that is tried then.

    Raises:
        ConfigError: the port is taken or not allowed, or the address is not one of this machine's.
    """
    for candidate in range(first, first + _PORTS_TRIED) if port is None else (port,):
        listening = _listen_on(address, candidate)
        if listening is not None:
            return listening
    if port is not None:
        raise ConfigError(f"port {port} is taken by another program; name another one, or leave out --port")
    raise ConfigError(f"no port from {first} to {first + _PORTS_TRIED - 1} is free; name one with --port")


def in_url(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def _listen_on(address: str, port: int) -> socket.socket | None:
    """``None`` if the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        if error.errno == errno.EACCES and port < _FIRST_FREE_FOR_ALL:
            raise ConfigError(f"port {port} may not be used by this user; name one from 1024 with --port") from error
        if error.errno in _TAKEN:
            return None
        raise ConfigError(f"{address} is not an address of this machine; name another one") from error
