"""What to do next: a decision from the targets of one reading and what is on record; no I/O, no clock.

Invariant 4 (Never past the truth): one closing at a time for a symbol, for at most what a complete reading says is
held; one whose outcome is not known is looked for before another is sent. Invariant 5: flat is only what a complete
reading says twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.decimals import exactly, plain
from trueup.core.flatten.record import FlattenRules, Progress, Sent, What, client_order_id
from trueup.core.flatten.targets import Lot, Targets, Work

LOOKS = 2
"""So many readings in a row must say flat, or that nothing more can be done."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One reading's targets, the time, and how many readings in a row before it said that nothing is to be done."""

    targets: Targets
    now_ms: int
    looks: int = 0
    dust: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Closing:
    """A closing order that is to be put on record and sent."""

    lot: Lot
    qty: Decimal
    client_order_id: str

    def words(self) -> str:
        """Return it in words."""
        return f"{self.lot.side} {plain(self.qty)} {self.lot.symbol}"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel working orders."""

    round: int
    orders: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """Send closing orders, one for each symbol and side."""

    round: int
    closings: tuple[Closing, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again; `idle` says that this reading found nothing to do."""

    why: str
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """Flat: nothing works, nothing is held; `apart` names what is somebody else's."""

    apart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A bound is reached or nothing more can be done; `left` names what is left, `known` says that it could be read."""

    left: tuple[str, ...]
    why: str
    known: bool = True


Decision = Cancel | Close | Wait | Verified | GiveUp


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look for a closing found: the order with what it executed, that there is none, or neither of the two.

    `working` says that it may still execute.
    """

    absent: bool = False
    found: bool = False
    working: bool = False
    executed: Decimal | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a closing: over, with what it executed (None is not known), or absent: it never came to be."""

    what: What
    executed: Decimal | None = None
    order_id: str | None = None


def verdict_of(sent: Sent, seen: Outcome, works: bool | None, now_ms: int, rules: FlattenRules) -> Verdict | None:
    """Say how a closing ended; None while that cannot be said.

    Not found is absent only when it had time to arrive. Where the venue cannot be asked for it, a complete reading
    from after that time ends it, with an unknown quantity: `works` is whether that reading lists a working order which
    may be it, None where there is no such reading.
    """
    if seen.found:
        return None if seen.working else Verdict(What.OVER, seen.executed, seen.order_id)
    if now_ms - sent.since_ms < rules.settle_ms:
        return None
    if seen.absent and sent.state is not What.TAKEN:
        return Verdict(What.ABSENT)
    return Verdict(What.OVER) if works is False else None


@exactly
def decide(facts: Facts, progress: Progress, episode: str, rules: FlattenRules) -> Decision:
    """Decide what to do next."""
    targets = facts.targets
    late = progress.started_ms is not None and facts.now_ms - progress.started_ms >= rules.limit_ms
    if targets.why:
        unread = (targets.why, *_flying(progress))
        return GiveUp(unread, "it could not be verified in time", known=False) if late else Wait(targets.why)
    todo = _todo(facts, progress, rules)
    if todo.nothing:
        return _ended(facts, todo)
    if late:
        return GiveUp(todo.words(), f"not flat after {rules.limit_ms // 1000} s", known=not todo.unknown)
    return _onwards(todo, progress, episode, rules)


def _onwards(todo: "_Todo", progress: Progress, episode: str, rules: FlattenRules) -> Decision:
    """Go on with the round, begin the next one, or give up after the last, when what still works is canceled."""
    number, last = progress.round, rules.attempts
    if 0 < number <= last and (next_one := _in_round(todo, progress, episode, number)) is not None:
        return next_one
    if not todo.actionable:
        return Wait("; ".join(todo.words()))
    if number > last or (number == last and not todo.working):
        return GiveUp(todo.words(), f"not flat after {last} rounds", known=not todo.unknown)
    if number == last:
        return Cancel(number + 1, todo.working)
    begun = _in_round(todo, progress, episode, number + 1)
    assert begun is not None
    return begun


@dataclass(frozen=True, slots=True)
class _Todo:
    """What is to be done, and what is waited for."""

    working: tuple[Work, ...] = ()
    lots: tuple[Lot, ...] = ()
    doubted: tuple[Lot, ...] = ()
    awaited: tuple[Lot, ...] = ()
    flying: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    left: tuple[str, ...] = field(default=())

    @property
    def actionable(self) -> bool:
        return bool(self.working or self.lots)

    @property
    def nothing(self) -> bool:
        return not (self.actionable or self.doubted or self.flying or self.unknown)

    def words(self) -> tuple[str, ...]:
        return (
            *(lot.words() for lot in (*self.lots, *self.doubted, *self.awaited)),
            *(f"working order {order.order_id} of {order.symbol}" for order in self.working),
            *self.flying, *self.unknown, *self.left,
        )  # fmt: skip


def _todo(facts: Facts, progress: Progress, rules: FlattenRules) -> _Todo:
    targets, flying = facts.targets, {sent.token for sent in progress.in_flight}
    young = [sent for sent in progress.in_flight if facts.now_ms - sent.sent_ms < rules.stuck_ms]
    lots = [
        lot for lot in targets.lots if lot.qty > 0 and lot.token not in flying and not _is_done(lot, facts, progress)
    ]
    doubted = [lot for lot in lots if _doubtful(lot, facts, progress, rules)]
    return _Todo(
        working=tuple(order for order in targets.working if not order.is_one_of(young)),
        lots=tuple(lot for lot in lots if lot not in doubted),
        doubted=tuple(doubted),
        awaited=tuple(lot for lot in targets.lots if lot.qty > 0 and lot.token in flying),
        flying=tuple(_flying(progress)),
        unknown=tuple(f"{name}: {why}" for name, why in sorted((targets.unknown or {}).items())),
        left=targets.left,
    )


def _is_done(lot: Lot, facts: Facts, progress: Progress) -> bool:
    """Say whether a lot is dust that was tried: a venue takes no order of less than its smallest."""
    tried = any((sent.token, sent.side) == (lot.token, lot.side) for sent in progress.of_lap)
    return lot.qty <= facts.dust and tried


def _doubtful(lot: Lot, facts: Facts, progress: Progress, rules: FlattenRules) -> bool:
    """Say whether a reading may be older than a closing: it holds more than the closing can have left."""
    mine = [sent for sent in progress.sent if (sent.token, sent.side) == (lot.token, lot.side)]
    if not mine or mine[-1].state is not What.OVER or mine[-1].executed is None:
        return False
    last = mine[-1]
    young = facts.now_ms - last.since_ms < rules.settle_ms
    return young and lot.held > last.held - (last.executed or Decimal(0)) + facts.dust


def _flying(progress: Progress) -> Iterable[str]:
    for sent in progress.in_flight:
        yield f"closing order {sent.client_order_id} ({sent.side} {plain(sent.qty)} {sent.symbol}): not settled"


def _ended(facts: Facts, todo: _Todo) -> Decision:
    if facts.looks + 1 < LOOKS:
        return Wait("nothing works and nothing is held; a second reading must say so", idle=True)
    if todo.left:
        return GiveUp(todo.left, "nothing more can be closed in this scope")
    return Verified(facts.targets.apart)


def _in_round(todo: _Todo, progress: Progress, episode: str, number: int) -> Decision | None:
    """Return what a round has still to do: first cancel, then close; None where it is through."""
    same = number == progress.round
    done = [sent for sent in progress.of_lap if sent.round == number]
    if todo.working and not (same and (progress.canceled or done)):
        return Cancel(number, todo.working)
    tried = {(sent.token, sent.side) for sent in done}
    lots = _one_a_symbol(lot for lot in todo.lots if (lot.token, lot.side) not in tried)
    if not lots:
        return None
    lap = progress.lap
    return Close(
        number,
        tuple(Closing(lot, lot.qty, client_order_id(episode, lap, number, lot.token, lot.side)) for lot in lots),
    )


def _one_a_symbol(lots: Iterable[Lot]) -> Sequence[Lot]:
    """Keep one lot of each symbol: one closing is in flight for it, the other leg's turn comes after."""
    first: dict[str, Lot] = {}
    for lot in lots:
        first.setdefault(lot.token, lot)
    return list(first.values())


def planned(targets: Targets) -> tuple[tuple[Work, ...], tuple[Lot, ...]]:
    """Return what a flattening would cancel and close by one reading, for a rehearsal."""
    return targets.working, tuple(lot for lot in targets.lots if lot.qty > 0)
