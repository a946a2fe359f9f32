"""How a bot is actually stopped, and asked whether it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from trueup.core.modes import Mode


@dataclass(frozen=True, slots=True)
class SwitchState:
    """What a bot says of itself: the mode that it keeps to, NORMAL where it trades freely; `detail` is in its words.

    `symbols` are those for which it keeps to a stricter one.
    """

    mode: Mode
    detail: str
    symbols: Mapping[str, Mode]

    def of(self, symbol: str | None) -> Mode:
        """Return the mode of the whole bot, or of a symbol."""
        return self.mode if symbol is None else max(self.mode, self.symbols.get(symbol, Mode.NORMAL))


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """How telling a bot ended: `done` only where the bot itself said so when it was asked again."""

    done: bool
    detail: str


class Switch(Protocol):
    """One bot's switch. Nothing raises but CannotKnow and ConfigurationError, whose words hold no secret."""

    @property
    def name(self) -> str:
        """Return what it is and where, for people."""
        ...

    def status(self, symbols: tuple[str, ...] = ()) -> SwitchState:
        """Ask the bot which mode it keeps to, and of some symbols."""
        ...

    def stop(self, mode: Mode, symbol: str | None = None) -> SwitchReport:
        """Tell the bot to keep to a mode, all of it or one symbol, and ask it until it does or a bound passes."""
        ...

    def resume(self, symbol: str | None = None) -> SwitchReport:
        """Tell the bot to trade freely again, and ask it until it does or a bound passes."""
        ...


class SwitchMarks(Protocol):
    """Which bots and symbols trueup itself stopped: only these it lets go on again. "" is the whole bot."""

    def stopped(self) -> dict[tuple[str, str], Mode]:
        """Return the mode that trueup told each profile and symbol."""
        ...

    def mark(self, profile_id: str, symbol: str, mode: Mode, now: str) -> None:
        """Remember that trueup stops one, before the bot is told; `now` is ISO 8601 with Z."""
        ...

    def clear(self, profile_id: str, symbol: str) -> None:
        """Forget it, after the bot trades again."""
        ...
