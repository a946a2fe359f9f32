"""Which rows of the ledger are about which order of the venue, whatever either calls it.

A chain of replaced orders is one thing: its rows are about all of it, and what it executed is the sum over it. What
cannot be told apart is set aside with the reason, and heals nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from trueup.core.decimals import NOTHING, plain
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass, status_class, word
from trueup.core.reconcile.changes import DIFFERENCE_PREFIX, IMPORT_PREFIX
from trueup.core.repair.chains import OrderKey
from trueup.core.repair.evidence import Evidence, Executions
from trueup.core.repair.slices import REPAIR_PREFIX
from trueup.core.snapshot import VenueOrder
from trueup.core.symbols import Symbols
from trueup.core.tags import comparable

OUR_PREFIXES = (IMPORT_PREFIX, DIFFERENCE_PREFIX, REPAIR_PREFIX)
"""What the ids of the rows begin with that book what the bot did not."""


class Standing(StrEnum):
    """How an order stands at the venue; `REPLACED` is one whose successor the venue does not list."""

    WORKING = "working"
    FILLED = "filled"
    DEAD = "canceled, expired, rejected"
    REPLACED = "replaced"
    UNKNOWN = "unknown"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Chain:
    """An order of the venue with all that it replaced: `orders` are the listed ones, oldest first.

    `executed` is what the chain executed in all, base units, and `parts` what each of its orders did. `doubt` says
    why nothing can be told from it.
    """

    token: str
    symbol: str
    ids: tuple[str, ...]
    orders: tuple[VenueOrder, ...] = ()
    parts: tuple[Evidence, ...] = ()
    standing: Standing = Standing.UNKNOWN
    doubt: str | None = None

    @property
    def executed(self) -> Decimal:
        """Return what the chain executed in all."""
        return sum((part.qty for part in self.parts), Decimal(0))

    @property
    def newest_id(self) -> str:
        """Return the id of the order that stands now."""
        return self.ids[-1]

    @property
    def side(self) -> Side | None:
        """Return which way it trades, None where its orders do not agree."""
        sides = {order.side for order in self.orders} | {part.side for part in self.parts}
        return next(iter(sides)) if len(sides) == 1 else None

    @property
    def time_ms(self) -> int:
        """Return the time of its last execution, else of its newest order."""
        times = [part.time_ms for part in self.parts] or [order.time_ms for order in self.orders]
        return max(times, default=0)

    @property
    def price(self) -> Decimal | None:
        """Return the average price of what was executed; None where a part has none."""
        qty = self.executed
        if not qty or any(part.price is None for part in self.parts):
            return None
        return sum((part.qty * (part.price or 0) for part in self.parts), Decimal(0)) / qty

    @property
    def price_source(self) -> str:
        """Return where the price is from."""
        sources = {part.price_source for part in self.parts}
        return next(iter(sources)) if len(sources) == 1 and self.price is not None else "none"

    @property
    def venue_status(self) -> str | None:
        """Return the newest order's status in the venue's own word."""
        return self.orders[-1].status if self.orders else None

    def said(self, name: str) -> str | None:
        """Return what the orders of the chain say of a tag, the newest first."""
        found = (getattr(item, name) for item in (*reversed(self.orders), *reversed(self.parts)))
        return next((value for value in found if value), None)


@dataclass(frozen=True, slots=True)
class Pair:
    """An order of the venue (None where it lists none) and the rows about it, in the order of time and id.

    `weak` are the order ids of the rows that name it by the client order id alone, which bots give to several orders,
    one after the other. `young` says that such a row, too new to be told, may be about it.
    """

    chain: Chain | None
    rows: tuple[LedgerOrder, ...] = ()
    doubt: str | None = None
    weak: frozenset[str] = frozenset()
    young: bool = False

    @property
    def filled_rows(self) -> list[LedgerOrder]:
        """Return the rows that book something."""
        return [row for row in self.rows if row.status is StatusClass.FILLED and row.defect is None]

    @property
    def booked(self) -> Decimal:
        """Return what the rows book in all."""
        return sum((row.qty for row in self.filled_rows), Decimal(0))


@dataclass(slots=True)
class Matches:
    """All pairs of an account: orders of the venue with their rows, and rows of which the venue lists no order."""

    pairs: list[Pair] = field(default_factory=list)
    alone: list[Pair] = field(default_factory=list)


def chains_of(executions: Executions, symbols: Symbols) -> list[Chain]:
    """Return the orders of the venue, each chain of replacements as one, by symbol and id."""
    listed = executions.orders.keys() | executions.own.keys() | executions.set_aside.keys()
    links = executions.chains
    lacking = {
        (symbols.token(each.symbol), each.exchange_order_id): f"the order says {plain(each.order_qty)}, its fills add"
        f" up to {plain(each.fills_qty)}"
        for each in executions.disagreements
        if each.fills_qty < each.order_qty
    }
    done: set[OrderKey] = set()
    found: list[Chain] = []
    for key in sorted(listed):
        if key in done:
            continue
        start, seen = key, {key}
        while (older := links.before.get(start)) is not None and older not in seen:
            start = older
            seen.add(older)
        members, at = [start], start
        while (newer := links.after.get(at)) is not None and newer not in members:
            members.append(newer)
            at = newer
        # A ring, or an heir that its ancestor does not lead to: another one replaced it as well.
        tangled = key not in members or links.after.get(at) is not None
        members = members if key in members else [key]
        done |= set(members)
        doubts = [lacking[key] for key in members if key in lacking]
        doubts += ["its chain of replaced orders cannot be told"] if tangled else []
        found.append(_chain(members, executions, symbols, doubts))
    return found


def _chain(members: Sequence[OrderKey], executions: Executions, symbols: Symbols, unclear: Sequence[str]) -> Chain:
    """Return one chain; `unclear` says what else is wrong with it."""
    orders = tuple(executions.orders[key] for key in members if key in executions.orders)
    parts = tuple(executions.own[key] for key in members if key in executions.own and executions.own[key].qty > 0)
    doubts = [executions.set_aside[key].why for key in members if key in executions.set_aside] + list(unclear)
    if any(key in executions.chains.unclear for key in members):
        doubts.append("its chain of replaced orders cannot be told")
    if len(members) > 1 and members[0] not in executions.orders:
        doubts.append("the chain begins with an order that the venue does not list")
    spelt = [order.symbol for order in orders] + [part.symbol for part in parts]
    symbol = spelt[0] if spelt else members[-1][0]
    newest = executions.orders.get(members[-1])
    return Chain(
        token=members[-1][0] or symbols.token(symbol), symbol=symbol, ids=tuple(key[1] for key in members),
        orders=orders, parts=parts, standing=_standing(newest, orders), doubt=doubts[0] if doubts else None,
    )  # fmt: skip


def _standing(newest: VenueOrder | None, orders: Sequence[VenueOrder]) -> Standing:
    if newest is None:
        return Standing.REPLACED if orders else Standing.UNKNOWN
    return standing_of(newest)


def standing_of(order: VenueOrder) -> Standing:
    """Return how one order stands; a word that is not known is no end."""
    if order.working:
        return Standing.WORKING
    if order.replaced_by or word(order.status) == "replaced":
        return Standing.REPLACED
    kind = status_class(order.status)
    if kind is StatusClass.DEAD:
        return Standing.DEAD
    if word(order.status) == "filled":
        return Standing.FILLED
    return Standing.WORKING if kind is StatusClass.WORKING else Standing.UNKNOWN


def match(
    chains: Iterable[Chain],
    rows: Iterable[LedgerOrder],
    symbols: Symbols,
    tag_prefix: str,
    settled_ms: int | None = None,
) -> Matches:
    """Match the ledger's rows to the venue's orders: by exchange order id, by the row's own id, by client order id.

    Working rows from `settled_ms` on are too young to be told by a client order id: the venue may not list theirs yet;
    None is that none is.
    """
    books = sorted(rows, key=lambda row: (row_time(row) or 0, row.order_id, row.profile_id))
    chains = list(chains)
    found = _Finder(books, symbols, tag_prefix, {(chain.token, name) for chain in chains for name in chain.ids})
    claims: dict[int, list[int]] = defaultdict(list)
    chosen = [_told_apart(found.about(chain), chain, books, settled_ms) for chain in chains]
    for number, claim in enumerate(chosen):
        for at in claim.rows:
            claims[at].append(number)
    matches = Matches()
    for chain, claim in zip(chains, chosen, strict=True):
        twice = any(len(claims[at]) > 1 for at in claim.rows)
        why = claim.doubt or chain.doubt or ("a row of it names another order of the venue as well" if twice else None)
        weak = frozenset(books[at].order_id for at in claim.rows if at in claim.weak)
        matches.pairs.append(Pair(chain, tuple(books[at] for at in claim.rows), why, weak, young=claim.young))
    matches.alone = [Pair(None, (row,)) for at, row in enumerate(books) if at not in claims]
    return matches


@dataclass(frozen=True, slots=True)
class _Claim:
    """The rows about one chain, by their places: `weak` are those that name it by the client order id alone."""

    rows: tuple[int, ...]
    weak: frozenset[int]
    doubt: str | None = None
    young: bool = False


def _told_apart(claim: _Claim, chain: Chain, books: Sequence[LedgerOrder], settled_ms: int | None) -> _Claim:
    """Leave out the working rows that name a chain by the client order id alone and may be about another order.

    That is so where a row is too young, and where other rows account for a chain that is over.
    """
    working = [at for at in claim.rows if at in claim.weak and books[at].status is StatusClass.WORKING]
    young = {at for at in working if settled_ms is not None and (row_time(books[at]) or settled_ms) >= settled_ms}
    rows = tuple(at for at in claim.rows if at not in young)
    filled = [books[at] for at in rows if at not in working and books[at].status is StatusClass.FILLED]
    over = chain.standing in (Standing.FILLED, Standing.DEAD)
    told = over and filled and claim.doubt is None
    if told and abs(sum((row.qty for row in filled), Decimal(0)) - chain.executed) <= NOTHING:
        rows = tuple(at for at in rows if at not in working)
    return replace(claim, rows=rows, young=bool(young))


class _Finder:
    """The rows by the names that they give to orders.

    A client order id speaks only where a row names no listed order by an id of the venue: a bot may give the orders of
    one trade the same one.
    """

    def __init__(
        self, rows: Sequence[LedgerOrder], symbols: Symbols, tag_prefix: str, listed: Collection[OrderKey]
    ) -> None:
        self._rows, self._symbols, self._prefix = rows, symbols, tag_prefix
        self._by_id: dict[str, list[int]] = defaultdict(list)
        self._by_client: dict[str, list[int]] = defaultdict(list)
        self._entered = {
            (row.profile_id, row.trade_id or ""): row.side or row.order_side
            for row in rows
            if (row.action or row.order_action) is Action.ENTRY
        }
        for at, row in enumerate(rows):
            for name in {row.exchange_order_id, row.order_id} - {None, ""}:
                self._by_id[str(name)].append(at)
            named = row.symbol is not None and (symbols.token(row.symbol), row.order_id) in listed
            if row.client_order_id and not row.exchange_order_id and not named:
                self._by_client[comparable(tag_prefix, row.client_order_id)].append(at)

    def about(self, chain: Chain) -> _Claim:
        """Return the rows about a chain, with why they may not be, where that is unclear."""
        named = {at for name in chain.ids for at in self._by_id.get(name, ())}
        clients = {comparable(self._prefix, o.client_order_id) for o in chain.orders if o.client_order_id}
        by_client = {at for name in clients for at in self._by_client.get(name, ())} - named
        by_client = {at for at in by_client if self._may_trade(self._rows[at], chain)}
        found, doubt = [], self._shared(named, by_client)
        for at in sorted(named | by_client):
            symbol = self._rows[at].symbol
            if symbol is None:
                found.append(at)
                doubt = doubt or "a row about it has no symbol"
            elif self._symbols.token(symbol) == chain.token:
                found.append(at)
            elif self._symbols.namesakes(symbol, {chain.symbol}):
                found.append(at)
                doubt = doubt or f"the ledger books it under {symbol}, which may mean {chain.symbol}"
        return _Claim(tuple(found), frozenset(by_client), doubt)

    def _may_trade(self, row: LedgerOrder, chain: Chain) -> bool:
        """Say whether a row may trade the way a chain does; an exit may have the side of its position."""
        side = row.side or row.order_side
        if (row.action or row.order_action) is Action.EXIT:
            entered = self._entered.get((row.profile_id, row.trade_id or ""))
            side = entered.opposite if entered is not None else None
        return side is None or chain.side is None or side is chain.side

    def _shared(self, named: set[int], by_client: set[int]) -> str | None:
        """Return why a client order id may be another order's: a row of the bot names the order, and one still works.

        A bot that gives several orders the same one has a working row of an order that the venue may not list yet.
        """
        bots = [at for at in named if not self._rows[at].order_id.startswith(OUR_PREFIXES)]
        if not bots or all(self._rows[at].status is not StatusClass.WORKING for at in by_client):
            return None
        return "a row names it by its id, and a working one by its client order id alone, which may be another order's"


def row_time(row: LedgerOrder) -> int | None:
    """Return a row's time, epoch milliseconds, whatever its status; None where it cannot be read."""
    return row.time_ms if row.time_ms is not None else row.order_ms
