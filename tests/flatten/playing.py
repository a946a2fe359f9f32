"""Seeded flattenings: each seed is one world with its own troubles; what ends otherwise than it may is told."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from tests.flatten.world import Troubles, World

from trueup.core.flatten.record import FlattenRules
from trueup.core.modes import Mode
from trueup.core.orders import Side
from trueup.sim.exchange import Kind

KINDS = ((Kind.SPOT, False), (Kind.LINEAR, False), (Kind.LINEAR, True), (Kind.EQUITY, False))
NAMES = (
    "unread", "partial", "stale", "lost_looks", "reject", "not_sent", "unanswered", "late", "rests", "cancel_fails",
    "killed",
)  # fmt: skip


@dataclass
class Outcome:
    """What became of one flattening."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"seed {self.seed}: {'; '.join(self.wrong)}"


def a_world(seed: int) -> World:
    """Return the world of a seed: its kind, what is held, and its troubles."""
    dice = Random(seed)
    kind, hedged = KINDS[seed % len(KINDS)]
    chosen = dice.sample(NAMES, dice.randrange(0, 6))
    rates = {name: dice.choice((0.1, 0.2, 0.4)) for name in chosen}
    for name in ("reject", "not_sent", "unanswered", "late", "rests"):
        rates[name] = rates.get(name, 0) / 2
    if "killed" in rates:
        rates["killed"] = 0.1
    troubles = Troubles(**rates, bot=dice.choice((0, 0, 0.2, 0.6)))
    world = World(
        seed,
        kind,
        hedged,
        troubles,
        names_orders=dice.random() < 0.7,
        rules=FlattenRules(attempts=dice.choice((3, 5, 8))),
    )
    for name in ("BTC", "ETH"):
        if dice.random() < 0.8:
            sign = -1 if kind is not Kind.SPOT and dice.random() < 0.4 else 1
            world.hold("p1", name, str(sign * Decimal(dice.randrange(2, 3000)) / 1000), booked=dice.random() < 0.8)
        if hedged and dice.random() < 0.5:
            world.hold("p1", name, str(dice.choice((1, -1)) * Decimal(dice.randrange(2, 3000)) / 1000))
        if dice.random() < 0.4:
            world.rest("p1", name)
    if kind is Kind.SPOT:
        # A coin that no profile names is nobody's position.
        for name in ("BTC", "ETH"):
            world.book("p1", name, Side.BUY, Decimal("0.01"))
    return world


def play(seed: int) -> Outcome:
    """Flatten the world of a seed, and hold how it ended against the truth."""
    world = a_world(seed)
    world.record.after = lambda _: world.maybe_kill()
    world.demand()
    outcome = Outcome(seed)
    [done] = world.flatten()
    outcome.wrong += world.wrong
    outcome.counts[done.state] += 1
    outcome.counts["orders sent"] += len(world.venue.acting.sent)
    outcome.counts["with killed workers"] += world.troubles.killed > 0
    outcome.counts["with a bot that goes on"] += world.troubles.bot > 0
    left = world.left()
    if done.state == "flat":
        since = world.exchange.now_ms - world.flat_ms
        lies = world.troubles.stale > 0 or world.troubles.killed > 0
        if left and not (lies and since < 60_000 and world.flat_ms):
            outcome.wrong.append(f"said flat, and {left} are left")
    elif done.state == "halted":
        told = "; ".join(done.left)
        if world.modes.current().get("account:main") is not Mode.HALT:
            outcome.wrong.append("HALT is not in force")
        if not done.left:
            outcome.wrong.append("nothing is named as left")
        if done.known and not world.troubles.stale:
            outcome.wrong += [
                f"{name} is not named as left: {told}" for name in left if name not in told and "order" not in name
            ]
        if not any(severity == "critical" for severity, _ in world.outbox.told):
            outcome.wrong.append("nobody was told")
    else:
        outcome.wrong.append(f"it ended as {done.state}")
    return outcome
