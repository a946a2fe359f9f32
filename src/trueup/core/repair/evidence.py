"""Evidence: the executed quantities that the venue reports, and what of them is still to be booked.

Fills are primary where the venue gives them; orders annotate them with tags and client ids. An order that the venue
lists twice with different content, or that the ledger books in a row which cannot be read, proves nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.orders import Side
from trueup.core.repair.booked import Booked, BookedIndex
from trueup.core.repair.chains import Chains, OrderKey
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.snapshot import Fill, Malformed, Snapshot, VenueOrder


class Evidence(NamedTuple):
    """What one exchange order executed and the ledger has not booked: base units, epoch milliseconds.

    `filled` is all that the order executed, `qty` what is left to book of it. `booked_to` are the trades (profile,
    trade id) that the rest was booked to. `price` None is unknown, with `price_source` none.
    """

    exchange_order_id: str
    symbol: str
    token: str
    side: Side
    filled: Decimal
    qty: Decimal
    time_ms: int
    price: Decimal | None = None
    price_source: str = "none"
    client_order_id: str | None = None
    sub_tag: str | None = None
    trade_id: str | None = None
    fee: Decimal | None = None
    fee_asset: str | None = None
    booked_to: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An order whose fills do not add up to what the order says: base units."""

    exchange_order_id: str
    symbol: str
    order_qty: Decimal
    fills_qty: Decimal


@dataclass(frozen=True, slots=True)
class Conflict:
    """An order or fill that the venue lists twice with different content, or that cannot be told apart."""

    exchange_order_id: str
    symbol: str
    why: str


@dataclass(frozen=True, slots=True)
class EvidenceBook:
    """All evidence of an account by symbol token, oldest first, and what was set aside."""

    rows: dict[str, list[Evidence]] = field(default_factory=dict)
    malformed: tuple[Malformed, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    outside_lookback: int = 0
    booked: int = 0


_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Executions:
    """What each order of the venue executed by itself, whatever the ledger booked of it.

    `orders` are the listed ones, `set_aside` those (and the fills) that prove nothing, with the reason.
    """

    own: dict[OrderKey, Evidence]
    orders: dict[OrderKey, VenueOrder]
    chains: Chains
    set_aside: dict[OrderKey, Conflict]
    malformed: tuple[Malformed, ...]
    disagreements: tuple[Disagreement, ...]


@exactly
def executions_of(snapshot: Snapshot, grace_ms: int) -> Executions:
    """Collect what the venue executed; times later than its clock by more than the grace are malformed."""
    latest = snapshot.as_of_ms + grace_ms
    malformed = [
        Malformed(feed, row.where or row.id, "its time is later than the snapshot's by more than the grace")
        for feed, rows in (("orders", snapshot.orders), ("fills", snapshot.fills))
        for row in rows
        if row.time_ms > latest
    ]
    unread = {row.row_id for row in snapshot.malformed if row.row_id}
    unread |= {order.id for order in snapshot.orders if order.time_ms > latest}
    orders, order_conflicts = _orders(snapshot, latest, unread)
    fills, fill_conflicts = _fills(snapshot, latest)
    chains = Chains(snapshot.orders, snapshot.symbols)
    set_aside = {**order_conflicts, **fill_conflicts, **_sides_differ(orders, fills)}
    set_aside |= _unclear_chains(chains, set_aside, orders, fills)
    fills = {key: found for key, found in fills.items() if key[1] not in unread}
    executed: dict[OrderKey, Evidence] = {}
    differences: list[Disagreement] = []
    for key in sorted(orders.keys() | fills.keys()):
        if key not in set_aside:
            row, difference = _merge(orders.get(key), fills.get(key, []), snapshot)
            if row is not None:
                executed[key] = row
            if difference is not None:
                differences.append(difference)
    own = _own_executions(executed, chains, orders.keys() | fills.keys(), fills)
    return Executions(own, orders, chains, set_aside, tuple(sorted(malformed)), tuple(differences))


@exactly
def evidence_of(snapshot: Snapshot, booked: BookedIndex, policy: BackfillPolicy) -> EvidenceBook:
    """Collect what the venue executed within the look-back, less what is booked already.

    The clock is the snapshot's `as_of_ms`. Rows are ordered by time, then exchange order id.
    """
    found = executions_of(snapshot, policy.grace_ms)
    left = _left_to_book(found.own, found.chains, _bookings(found.own, found.orders, found.chains, booked))
    book = _still_to_book(found.own, left, policy, snapshot.as_of_ms, dict(found.set_aside))
    return replace(book, malformed=found.malformed, disagreements=found.disagreements)


def _orders(
    snapshot: Snapshot, latest: int, unread: set[str]
) -> tuple[dict[OrderKey, VenueOrder], dict[OrderKey, Conflict]]:
    """Return the venue's orders once each, and those that it lists with different content.

    `unread` are the ids of orders of which a listing cannot be used; another listing of such an order differs from it.
    """
    orders: dict[OrderKey, VenueOrder] = {}
    conflicts: dict[OrderKey, Conflict] = {}
    for order in snapshot.orders:
        if order.time_ms > latest:
            continue
        key = (snapshot.symbols.token(order.symbol), order.id)
        first = orders.setdefault(key, order)
        if order.id in unread:
            conflicts[key] = Conflict(order.id, order.symbol, "another listing of this order cannot be read")
        if first is not order and first != order:
            orders[key] = min(first, order, key=repr)
            conflicts[key] = Conflict(order.id, order.symbol, "the venue lists this order twice, differently")
    return orders, conflicts


def _fills(snapshot: Snapshot, latest: int) -> tuple[dict[OrderKey, list[Fill]], dict[OrderKey, Conflict]]:
    """Return the venue's fills once each by order, and the orders with a fill listed with different content."""
    fills: dict[OrderKey, dict[str, Fill]] = defaultdict(dict)
    conflicts: dict[OrderKey, Conflict] = {}
    owner: dict[OrderKey, OrderKey] = {}
    for fill in snapshot.fills:
        if fill.time_ms > latest:
            continue
        token = snapshot.symbols.token(fill.symbol)
        key = (token, fill.order_id)
        first = owner.setdefault((token, fill.id), key)
        known = fills[first].setdefault(fill.id, fill)
        if known is not fill and known != fill:
            for order_key in {first, key}:
                conflicts[order_key] = Conflict(
                    order_key[1], fill.symbol, f"fill {fill.id} is listed twice, differently"
                )
    sides = {key: {fill.side for fill in by_id.values()} for key, by_id in fills.items()}
    for key, seen in sides.items():
        if len(seen) > 1:
            conflicts[key] = Conflict(key[1], next(iter(fills[key].values())).symbol, "its fills are on both sides")
    return {key: sorted(by_id.values(), key=lambda f: (f.time_ms, f.id)) for key, by_id in fills.items()}, conflicts


def _merge(
    order: VenueOrder | None, fills: list[Fill], snapshot: Snapshot
) -> tuple[Evidence | None, Disagreement | None]:
    """Return what an order executed by its fills, else by itself, and where the two disagree."""
    if not fills:
        return (_by_order(order, snapshot), None) if order is not None and order.qty > NOTHING else (None, None)
    total = sum((fill.qty for fill in fills), Decimal(0))
    difference = None
    if order is not None and abs(order.qty - total) > NOTHING:
        difference = Disagreement(order.id, order.symbol, order.qty, total)
    return _by_fills(order, fills, total, snapshot), difference


def _by_order(order: VenueOrder, snapshot: Snapshot) -> Evidence:
    return Evidence(
        exchange_order_id=order.id, symbol=order.symbol, token=snapshot.symbols.token(order.symbol), side=order.side,
        filled=order.qty, qty=order.qty, time_ms=order.time_ms, price=order.price, price_source=order.price_source,
        client_order_id=order.client_order_id, sub_tag=order.sub_tag, trade_id=order.trade_id, fee=order.fee,
        fee_asset=order.fee_asset,
    )  # fmt: skip


def _by_fills(order: VenueOrder | None, fills: list[Fill], total: Decimal, snapshot: Snapshot) -> Evidence | None:
    if total <= NOTHING:
        return None
    last = fills[-1]
    worth = [fill.qty * fill.price for fill in fills if fill.price is not None]
    price = sum(worth, _ZERO) / total if len(worth) == len(fills) else None
    assets = {fill.fee_asset for fill in fills}
    fees = [fill.fee for fill in fills if fill.fee is not None]
    known_fees = len(assets) == 1 and len(fees) == len(fills)
    return Evidence(
        exchange_order_id=last.order_id,
        symbol=last.symbol,
        token=snapshot.symbols.token(last.symbol),
        side=last.side,
        filled=total,
        qty=total,
        time_ms=last.time_ms,
        price=price,
        price_source="fills" if price is not None else "none",
        client_order_id=order.client_order_id if order else None,
        sub_tag=order.sub_tag if order else None,
        trade_id=order.trade_id if order else None,
        fee=sum(fees, _ZERO) if known_fees else None,
        fee_asset=last.fee_asset if known_fees else None,
    )


def _sides_differ(orders: dict[OrderKey, VenueOrder], fills: dict[OrderKey, list[Fill]]) -> dict[OrderKey, Conflict]:
    """Return the orders whose fills are on the other side."""
    return {
        key: Conflict(order.id, order.symbol, f"the order is a {order.side}, its fills are on the other side")
        for key, found in fills.items()
        if (order := orders.get(key)) is not None and any(fill.side is not order.side for fill in found)
    }


def _unclear_chains(
    chains: Chains,
    set_aside: dict[OrderKey, Conflict],
    orders: dict[OrderKey, VenueOrder],
    fills: dict[OrderKey, list[Fill]],
) -> dict[OrderKey, Conflict]:
    """Return the orders of which a chain of replacements does not say what they executed by themselves.

    A chain that begins with an order which the venue does not list carries forward nobody knows what, and may be booked
    under ids that nothing names. Fills say what an order executed, whatever the chain.
    """
    unclear = chains.unclear | chains.rootless(orders.keys() | fills.keys())
    unclear |= chains.depending_on(set_aside.keys() | unclear)
    return {
        key: Conflict(key[1], orders[key].symbol, "its chain of replaced orders cannot be told")
        for key in sorted(unclear)
        if key in orders and key not in fills and orders[key].qty > NOTHING
    }


def _own_executions(
    rows: dict[OrderKey, Evidence],
    chains: Chains,
    listed: Collection[OrderKey],
    fills: dict[OrderKey, list[Fill]],
) -> dict[OrderKey, Evidence]:
    """Take out of a replacing order's quantity what it may carry forward from the order that it replaced.

    Some venues let a replacing order start with its predecessor's executions, others with none. Without fills the
    two readings cannot be told apart where the successor executed at least as much, so only the excess is its own.
    What lies behind a predecessor that the venue does not list is carried forward through it.
    """
    own = dict(rows)
    for key in chains.before:
        row, old = rows.get(key), chains.listed_before(key, listed)
        replaced = rows.get(old) if old is not None else None
        if row is not None and replaced is not None and key not in fills and row.filled >= replaced.filled:
            left = row.filled - replaced.filled
            own[key] = row._replace(filled=left, qty=left)
    return own


def _bookings(
    rows: dict[OrderKey, Evidence], orders: dict[OrderKey, VenueOrder], chains: Chains, booked: BookedIndex
) -> dict[OrderKey, Booked]:
    """Return what books each order that executed, and each order next to one in a chain that shows no execution.

    Such a neighbour is not listed, is quarantined, or executed nothing.
    """
    found = {
        key: booked.of(row.symbol, row.side, row.exchange_order_id, row.client_order_id) for key, row in rows.items()
    }
    for link in (chains.before, chains.after):
        for key, other in link.items():
            if key in rows and other not in found:
                client_order_id = orders[other].client_order_id if other in orders else None
                found[other] = booked.of(rows[key].symbol, rows[key].side, other[1], client_order_id)
    return found


def _left_to_book(
    rows: dict[OrderKey, Evidence], chains: Chains, entries: Mapping[OrderKey, Booked]
) -> dict[OrderKey, tuple[Decimal, Booked]]:
    """Return what is left of each order, and what books it.

    What the ledger booked of a replacing order beyond that order's own executions belongs to its predecessors: a bot
    that knows only the last order of a chain books the whole chain under it. An order that shows no execution has none
    of its own, so that all that is booked under it counts against its predecessors, and against its heir too, which may
    carry it forward. Where it is not known how much was booked, it is not known of these either.
    """
    counted = dict(entries)
    executed = {key: rows[key].qty if key in rows else _ZERO for key in counted}
    rest = {key: executed[key] - entry.qty if entry.rows else executed[key] for key, entry in counted.items()}
    for key in _newest_first(chains, counted):
        newer, older = chains.after.get(key), chains.before.get(key)
        unknown = counted[key].unknown
        if newer in counted:
            rest[key] -= max(-rest[newer], _ZERO)
            unknown = unknown or counted[newer].unknown
        if older in counted and older not in rows:
            rest[key] -= counted[older].qty
            unknown = unknown or counted[older].unknown
        if unknown:
            counted[key] = replace(counted[key], unknown=unknown)
    return {key: (max(rest[key], _ZERO), counted[key]) for key in rows}


def _newest_first(chains: Chains, keys: dict[OrderKey, Booked]) -> list[OrderKey]:
    """Return the orders that replaced or were replaced, each after the order that replaced it; a ring is cut."""
    done: dict[OrderKey, None] = {}
    for start in sorted(keys.keys() & (chains.after.keys() | chains.before.keys())):
        chain = [start] if start not in done else []
        while chain and (newer := chains.after.get(chain[-1])) in keys and newer not in done and newer not in chain:
            chain.append(newer)
        done |= dict.fromkeys(reversed(chain))
    return list(done)


def _still_to_book(
    rows: dict[OrderKey, Evidence],
    left: dict[OrderKey, tuple[Decimal, Booked]],
    policy: BackfillPolicy,
    now_ms: int,
    conflicts: dict[OrderKey, Conflict],
) -> EvidenceBook:
    """Leave out what is booked, what is older than the look-back and what cannot be told, and order the rest."""
    by_token: dict[str, list[Evidence]] = defaultdict(list)
    outside = done = 0
    for key, row in rows.items():
        qty, entry = left[key]
        if entry.unknown:
            conflicts[key] = Conflict(row.exchange_order_id, row.symbol, entry.unknown)
        elif qty <= NOTHING:
            done += 1
        elif row.time_ms < now_ms - policy.lookback_ms:
            outside += 1
        else:
            new = not entry.rows and qty == row.qty
            by_token[row.token].append(row if new else row._replace(qty=qty, booked_to=frozenset(entry.trades)))
    for found in by_token.values():
        found.sort(key=attrgetter("time_ms", "exchange_order_id"))
    return EvidenceBook(
        rows=dict(by_token),
        conflicts=tuple(conflicts[key] for key in sorted(conflicts)),
        outside_lookback=outside,
        booked=done,
    )


def describe(row: Evidence) -> str:
    """Return one line that names a piece of evidence."""
    return f"{row.side} {plain(row.qty)} of {row.symbol}, exchange order {row.exchange_order_id}"
