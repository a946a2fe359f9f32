"""One incident from beginning to end, for the tests of the surfaces: a trade that was sold by hand at the venue.

The world is that of the runbook (tests/docs/incident); two runs confirm, one passes a stage, and nobody waits.
"""

from dataclasses import dataclass
from typing import Any

from tests.ledger.bot import NOW, Bot, at, row, sold

from trueup.core.incidents.incident import Incident
from trueup.core.times import iso
from trueup.service.app import App
from trueup.service.cycle import ReconcileRequest
from trueup.service.leading import propose_canary, sign_off, start_repair
from trueup.service.reconcile import run_reconcile

STAGES = ("p1:BTC/USD:500:30", "p1:*:1000:60")
QUICK = {
    "TRUEUP_INCIDENT_OBSERVATION_SECONDS": "0", "TRUEUP_INCIDENT_CONFIRM_RUNS": "2", "TRUEUP_CANARY_RUNS": "1",
}  # fmt: skip
ENTRY = sold("x1", side="buy", client_order_id="bytelyst-p1-TRD-1-entry", filled_avg_price="100", minute=0)
EXIT = sold("x2", trade_id="TRD-1", minute=60)
SURPRISE = {"symbol": "ETH/USD", "qty": "2", "side": "long"}
"""A position that nobody booked."""


@dataclass
class World:
    """A bot whose books and venue disagree; each look reads the venue a minute later."""

    bot: Bot
    app: App
    minute: int = 0

    def look(self, *positions: dict[str, Any]) -> None:
        """Let the loop look once, at a venue with these positions."""
        self.minute += 1
        self.bot.venue(
            as_of=iso(at(NOW + self.minute)), positions=list(positions), open_orders=[], closed_orders=[ENTRY, EXIT],
            fills=[], balances={"USD": "10000"},
        )  # fmt: skip
        run_reconcile(self.app, ReconcileRequest())

    @property
    def incident(self) -> Incident:
        """The newest incident."""
        _, [found, *_] = self.app.incidents.page()
        return found

    @property
    def name(self) -> str:
        return self.incident.incident_id

    def repaired(self) -> None:
        """Start the repair, and let the venue's exit be booked."""
        start_repair(self.app, self.name, "sold by hand")
        self._book()

    def repaired_rows(self) -> None:
        """Let the venue's exit be booked in a repair that somebody started, and look until the books are confirmed."""
        self._book()
        for _ in range(2):
            self.look()

    def _book(self) -> None:
        exit_ = row("TRD-1", order_id="o2", action="EXIT", side="sell", price="110", exchange_order_id="x2", minute=60)
        self.bot.db.orders(exit_)

    def confirmed(self) -> None:
        """Repair, and look until the books are confirmed."""
        self.repaired()
        for _ in range(2):
            self.look()

    def proposed(self, app: App | None = None, stages: tuple[str, ...] = STAGES) -> None:
        """Go on to a canary that is proposed."""
        self.confirmed()
        propose_canary(app or self.app, self.name, stages, "the books agree")

    def restored(self, other: App) -> None:
        """Go the whole way; `other` signs off."""
        self.proposed()
        for _ in range(3):
            sign_off(other, self.name, "read it")
            self.look()


def a_world(bot: Bot) -> World:
    """Lay an incident down and let the loop open it."""
    bot.environ.update(QUICK)
    app = bot.init()
    bot.db.orders(row("TRD-1", order_id="o1", client_order_id="bytelyst-p1-TRD-1-entry", exchange_order_id="x1"))
    world = World(bot, app)
    world.look()
    return world
