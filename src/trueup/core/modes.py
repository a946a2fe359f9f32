"""Safe modes: how much trading is allowed in a scope. The strictest on a scope's path is in force."""

from collections.abc import Iterable, Mapping
from enum import IntEnum

from trueup.core.errors import ConfigurationError, nearest


class Mode(IntEnum):
    """The modes from loosest to strictest."""

    NORMAL = 0
    CLOSE_ONLY = 1
    SAFE_MODE = 2
    FLATTEN = 3
    HALT = 4

    @property
    def paused(self) -> bool:
        """Say whether trading is paused: no new order flow."""
        return self >= Mode.SAFE_MODE


GLOBAL = "global"


def read_mode(text: str) -> Mode:
    """Read a mode's name; ConfigurationError names the nearest."""
    try:
        return Mode[text.strip().upper().replace("-", "_")]
    except KeyError:
        raise ConfigurationError(f"There is no mode {text!r}.", nearest(text.upper(), Mode.__members__)) from None


def read_scope(text: str) -> str:
    """Check a scope: global, account:NAME, profile:ID or symbol:ID:SYMBOL."""
    kind, _, rest = text.strip().partition(":")
    if kind == GLOBAL and not rest and ":" not in text:
        return GLOBAL
    if kind in ("account", "profile") and rest.strip():
        return f"{kind}:{rest.strip()}"
    if kind == "symbol" and all(part.strip() for part in rest.rpartition(":")):
        return f"symbol:{rest}"
    raise ConfigurationError(
        f"{text!r} is not a scope.", "A scope is global, account:NAME, profile:ID or symbol:ID:SYMBOL."
    )


def path_of(account: str, profile_id: str) -> tuple[str, ...]:
    """Return the scopes that bind a profile, widest first."""
    return (GLOBAL, f"account:{account}", f"profile:{profile_id}")


def effective(modes: Mapping[str, Mode], path: Iterable[str]) -> tuple[Mode, str]:
    """Return the strictest mode on a path and the widest scope that demands it; NORMAL where none is set."""
    strictest, origin = Mode.NORMAL, GLOBAL
    for scope in path:
        mode = modes.get(scope, Mode.NORMAL)
        if mode > strictest:
            strictest, origin = mode, scope
    return strictest, origin
