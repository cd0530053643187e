"""Translation of PostgreSQL errors to messages for users."""

from __future__ import annotations

from sqlalchemy import exc

_UNREACHABLE = "cannot reach {name} ({reason}); check that the server is up, and run it again"
_NOT_WRITABLE = "{name} cannot be written to ({reason}); check the permissions of its user"
_DAMAGED = "{name} is damaged ({reason}); restore it from a backup"

_MESSAGES = {
    "25006": _NOT_WRITABLE,
    "42501": _NOT_WRITABLE,
    "53100": "the disk of {name} is full; what was committed is safe: make room and run it again",
    "53300": "{name} accepts no more connections ({reason}); raise max_connections, or try again later",
    "55P03": "{name} stays locked by another program; wait for it to end and try again",
    "57P01": _UNREACHABLE,
    "57P02": _UNREACHABLE,
    "57P03": _UNREACHABLE,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
"""Messages by SQLSTATE. Source: https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def explain(error: Exception, name: str) -> str:
    """A one-line message with what to do.

    Args:
        error: SQLAlchemy's exception.
        name: name of the database for display.
    """
    if isinstance(error, exc.TimeoutError):
        return f"{name} has too many requests at once; try again"
    code = _code(error)
    is_lost = code is None and isinstance(error, exc.OperationalError | exc.InterfaceError)
    message = _UNREACHABLE if is_lost else _MESSAGES.get(code or "", "{name}: {reason}")
    return message.format(name=name, reason=_reason(error))


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLAlchemy's exception reports damage of the database."""
    return isinstance(error, Exception) and _MESSAGES.get(_code(error) or "") == _DAMAGED


def _code(error: Exception) -> str | None:
    code: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code


def _reason(error: Exception) -> str:
    first = next(iter(str(getattr(error, "orig", error)).strip().splitlines()), type(error).__name__)
    return first.removeprefix("connection failed: ").strip()
