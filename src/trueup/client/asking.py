"""How a gate asks: the one thing that its two ways have in common."""

from decimal import Decimal
from typing import Protocol

from trueup.core.gate import GateAnswer, Intent


class Asker(Protocol):
    """Somebody who answers a bot's questions; every method raises TrueupError where it cannot."""

    def ask(self, symbol: str, intent: Intent, notional: Decimal | None, order_ref: str | None) -> GateAnswer:
        """Answer whether an order may be sent."""
        ...

    def beat(self, *, healthy: bool) -> None:
        """Record that the bot is alive."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...
