"""Listening sockets of the server and the web page."""

from __future__ import annotations

import errno
import ipaddress
import socket

from clipsearch.errors import ConfigError

_PORTS_TRIED = 50

_FIRST_FREE_FOR_ALL = 1024

_TAKEN = {errno.EADDRINUSE, errno.EACCES}
"""Windows reports EACCES for a port in exclusive use."""


def is_loopback(address: str) -> bool:
    """Whether an address is reachable only from this machine."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a host name may resolve to anything
        return False


def listen(address: str, port: int | None, *, first: int) -> socket.socket:
    """Bind a listening socket.

    Args:
        address: to bind to.
        port: ``None`` for the first free one.
        first: first port to try if `port` is ``None``.

    Raises:
        ConfigError: the port is taken or not permitted, or the address is not of this machine.
    """
    for candidate in range(first, first + _PORTS_TRIED) if port is None else (port,):
        bound = _listen_on(address, candidate)
        if bound is not None:
            return bound
    if port is not None:
        raise ConfigError(f"port {port} is taken by another program; choose another one, or omit --port")
    raise ConfigError(f"no port from {first} to {first + _PORTS_TRIED - 1} is free; choose one with --port")


def in_url(address: str) -> str:
    """An address in URL notation."""
    return f"[{address}]" if ":" in address else address


def _listen_on(address: str, port: int) -> socket.socket | None:
    """``None`` if the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        if error.errno == errno.EACCES and port < _FIRST_FREE_FOR_ALL:
            raise ConfigError(
                f"port {port} is not permitted for this user; choose one from 1024 with --port"
            ) from error
        if error.errno in _TAKEN:
            return None
        raise ConfigError(f"{address} is not an address of this machine; choose another one") from error
