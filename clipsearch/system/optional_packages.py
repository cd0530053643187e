"""Packages that only some commands need, and that are not installed with the rest."""

from __future__ import annotations

from importlib.util import find_spec

from clipsearch.errors import ConfigError


def require_extra(extra: str, *modules: str, what: str) -> None:
    """Make sure that an extra is installed, before anything of it is imported.

    Args:
        extra: its name, as for pip.
        modules: top-level modules that come with it.
        what: what needs it, for the message.

    Raises:
        ConfigError: one of them is missing.
    """
    if any(find_spec(module) is None for module in modules):
        raise ConfigError(f"{what} needs more than is installed; install it with: pip install 'clipsearch[{extra}]'")
