"""Seeded incidents of known class and radius, played through the loop, and what it takes them for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

from tests.reconcile.places import Rules
from tests.reconcile.stage import MINUTE, START, Stage, a_row, an_order, tag

from trueup.core.incidents.classes import Pattern, Radius, Verdict
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.snapshot import Leg, VenueOrder

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "ADA/USD", "DOT/USD")
PROFILES = ("p1", "p2", "p3")
LOOKS = 3
"""So many looks an operator waits for before the repair."""


@dataclass
class World:
    """What the ledger has at once, and what the venue says at each look."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    orders: list[list[VenueOrder]] = field(default_factory=lambda: [[] for _ in range(LOOKS)])
    legs: list[list[Leg]] = field(default_factory=lambda: [[] for _ in range(LOOKS)])

    def everywhere(self, *orders: VenueOrder, held: str | None = None, symbol: str = "", since: int = 0) -> None:
        for look in range(since, LOOKS):
            self.orders[look] += orders
            if held is not None:
                self.legs[look].append(Leg(symbol, Decimal(held), Decimal(100)))


@dataclass(frozen=True)
class Place:
    """Where one break is laid: its own symbol, trade and orders."""

    number: int
    profile: str
    symbol: str

    @property
    def trade(self) -> str:
        return f"TRD-{self.number}"

    def row(self, name: str, side: str, status: str = "filled", qty: str = "1", **more: Any) -> dict[str, Any]:
        return a_row(
            f"r{self.number}{name}", side, status, qty,
            **{"symbol": self.symbol, "profile_id": self.profile, "trade_id": self.trade, **more},
        )  # fmt: skip

    def order(self, name: str, side: str, status: str = "filled", qty: str = "1", **more: Any) -> VenueOrder:
        action = "ENTRY" if side == "buy" else "EXIT"
        own = tag(self.trade, action, self.profile)
        return an_order(f"x{self.number}{name}", side, status, qty, symbol=self.symbol, client_order_id=own, **more)

    def entered(self, world: World, *, held: str | None, since: int = 0, **more: Any) -> None:
        """A bought unit, booked, that the venue shows from a look on."""
        world.rows.append(self.row("a", "buy", exchange_order_id=f"x{self.number}a", **more))
        world.everywhere(self.order("a", "buy"))
        if held is not None:
            world.everywhere(held=held, symbol=self.symbol, since=since)


def late_position(at: Place, world: World, dice: Random) -> None:
    """The venue's list of positions lags behind its fills."""
    at.entered(world, held="1", since=dice.randint(1, LOOKS - 1))


def late_listing(at: Place, world: World, dice: Random) -> None:
    """The venue lists an order later than it took it."""
    world.rows.append(at.row("a", "buy", "new", exchange_order_id=f"x{at.number}a"))
    world.everywhere(at.order("a", "buy", "new", "0"), since=dice.randint(1, LOOKS - 1))


def booked_twice(at: Place, world: World, dice: Random) -> None:
    """Two rows of one execution that are not alike."""
    at.entered(world, held="1")
    other = Decimal(dice.randint(90, 99))
    world.rows.append(at.row("b", "buy", exchange_order_id=f"x{at.number}a", price=other, minute=0.1))


def booked_more(at: Place, world: World, dice: Random) -> None:
    """A row with more than the order executed."""
    world.rows.append(at.row("a", "buy", qty=str(dice.randint(2, 9)), exchange_order_id=f"x{at.number}a"))
    world.everywhere(at.order("a", "buy"), held="1", symbol=at.symbol)


def lost_exit(at: Place, world: World, dice: Random) -> None:
    """The position is gone, and no execution that anybody has tells how."""
    at.entered(world, held=None)


def lost_order(at: Place, world: World, dice: Random) -> None:
    """A working order that the venue does not know."""
    world.rows.append(at.row("a", "buy", "new", exchange_order_id=f"x{at.number}a"))


def exit_written_first(at: Place, world: World, dice: Random) -> None:
    """The exit stands before its entry, and more is gone than was booked."""
    at.entered(world, held=None)
    part = f"0.{dice.randint(2, 7)}"
    world.rows.append(at.row("b", "sell", qty=part, exchange_order_id=f"x{at.number}b", minute=-dice.randint(1, 60)))
    world.everywhere(at.order("b", "sell", qty=part, minute=1))


def exit_written_first_and_held(at: Place, world: World, dice: Random) -> None:
    """The exit stands before its entry, and the venue holds more than is left."""
    at.entered(world, held="1")
    part = f"0.{dice.randint(2, 7)}"
    world.rows.append(at.row("b", "sell", qty=part, minute=-dice.randint(1, 60)))


INJECTIONS: dict[Pattern, tuple[Callable[[Place, World, Random], None], ...]] = {
    Pattern.DELAY: (late_position, late_listing), Pattern.DUP: (booked_twice, booked_more),
    Pattern.MISSING: (lost_exit, lost_order), Pattern.OUT_OF_ORDER: (exit_written_first, exit_written_first_and_held),
}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What was laid: the class of most breaks, the other, and how far they reach."""

    primary: Pattern
    secondary: Pattern | None
    radius: Radius


@dataclass(frozen=True)
class Played:
    """One incident: what it was, what it was taken for, and what it was contained by."""

    seed: int
    truth: Truth
    verdict: Verdict | None
    scope: str
    modes: tuple[str, ...]


def play(seed: int) -> Played:
    """Lay one incident down and run the loop over it."""
    dice = Random(seed)
    primary = dice.choice(list(Pattern))
    count = dice.randint(1, 4)
    secondary = dice.choice([p for p in Pattern if p is not primary]) if count > 2 and dice.random() < 0.6 else None
    patterns = [primary] * (count - 1) + [secondary or primary]
    owners = dice.sample(PROFILES, 2 if count > 1 and dice.random() < 0.4 else 1)
    symbols = dice.sample(SYMBOLS, count)
    world = World()
    for number, (pattern, symbol) in enumerate(zip(patterns, symbols, strict=True)):
        owner = owners[number % len(owners)]
        dice.choice(INJECTIONS[pattern])(Place(number, owner, symbol), world, dice)
    radius = Radius.HIGH if len(owners) > 1 else Radius.MEDIUM if count > 1 else Radius.LOW
    stage = Stage(Rules(loop=ReconcilePolicy(parity_confirmations=9)), dict.fromkeys(PROFILES, "main"))
    stage.ledger(*world.rows)
    for look in range(LOOKS):
        told = stage.venues["main"]
        told.snapshot = replace(told.snapshot, orders=tuple(world.orders[look]), legs=tuple(world.legs[look]))
        stage.cycles()
    kept = stage.app.incidents.open_in("main")
    if kept is None:
        return Played(seed, Truth(primary, secondary, radius), None, "", ())
    found = kept.incident
    modes = tuple(item.mode.name for item in found.contained)
    return Played(seed, Truth(primary, secondary, radius), found.verdict, found.scope, modes)


__all__ = ["MINUTE", "START", "Played", "play"]
