"""Which rows of the ledger are about which order of the venue, whatever either calls it.

A chain of replaced orders is one thing: its rows are about all of it, and what it executed is the sum over it. What
cannot be told apart is set aside with the reason, and heals nothing.
"""

from collections import Counter, defaultdict
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

    @property
    def clients(self) -> dict[str, str | None]:
        """Return the client order id of each order of the chain, None where the venue does not say it."""
        said = {item.exchange_order_id: item.client_order_id for item in self.parts}
        said |= {order.id: order.client_order_id or said.get(order.id) for order in self.orders}
        return {name: said.get(name) for name in self.ids}

    def said(self, name: str) -> str | None:
        """Return what the orders of the chain say of a tag, the newest first."""
        found = (getattr(item, name) for item in (*reversed(self.orders), *reversed(self.parts)))
        return next((value for value in found if value), None)


@dataclass(frozen=True, slots=True)
class Pair:
    """An order of the venue (None where it lists none) and the rows about it, in the order of time and id.

    `weak` are the order ids of the rows that name it by the client order id alone, which bots give to several orders,
    one after the other. `young` says that such a row, too new to be told, may be about it. `untold` says that rows
    which book something may be about it and cannot be found: its client order id is not known, and they have no other.
    """

    chain: Chain | None
    rows: tuple[LedgerOrder, ...] = ()
    doubt: str | None = None
    weak: frozenset[str] = frozenset()
    young: bool = False
    untold: bool = False

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


def order_keys(chains: Iterable[Chain | None]) -> frozenset[OrderKey]:
    """Return the orders of chains, as (symbol token, id)."""
    return frozenset((chain.token, name) for chain in chains if chain is not None for name in chain.ids)


def match(
    chains: Iterable[Chain],
    rows: Iterable[LedgerOrder],
    symbols: Symbols,
    tag_prefix: str,
    settled_ms: int | None = None,
    listed_ms: int = 0,
) -> Matches:
    """Match the ledger's rows to the venue's orders: by exchange order id, by the row's own id, by client order id.

    Working rows from `settled_ms` on are too young to be told by a client order id: the venue may not list theirs yet;
    None is that none is. Of a row from before `listed_ms` the venue may not list the order any more.
    """
    books = sorted(rows, key=lambda row: (row_time(row) or 0, row.order_id, row.profile_id))
    chains = list(chains)
    found = _Finder(books, symbols, tag_prefix, chains)
    claims: dict[int, list[int]] = defaultdict(list)
    chosen = [_told_apart(found.about(chain), chain, books, settled_ms, listed_ms) for chain in chains]
    for number, claim in enumerate(chosen):
        for at in claim.rows:
            claims[at].append(number)
    matches = Matches()
    for chain, claim in zip(chains, chosen, strict=True):
        twice = any(len(claims[at]) > 1 for at in claim.rows)
        why = claim.doubt or chain.doubt or ("a row of it names another order of the venue as well" if twice else None)
        weak = frozenset(books[at].order_id for at in claim.rows if at in claim.weak)
        rows_of_it = tuple(books[at] for at in claim.rows)
        matches.pairs.append(Pair(chain, rows_of_it, why, weak, young=claim.young, untold=claim.untold))
    matches.alone = [Pair(None, (row,)) for at, row in enumerate(books) if at not in claims]
    return matches


@dataclass(frozen=True, slots=True)
class _Claim:
    """The rows about one chain, by their places: `weak` are those that name it by the client order id alone."""

    rows: tuple[int, ...]
    weak: frozenset[int]
    doubt: str | None = None
    young: bool = False
    untold: bool = False


def _told_apart(
    claim: _Claim, chain: Chain, books: Sequence[LedgerOrder], settled_ms: int | None, listed_ms: int
) -> _Claim:
    """Leave out the working rows that name a chain by the client order id alone and may be about another order.

    That is so where a row is too young, and where other rows account for a chain that is over: not by the client order
    id alone where they are so old that they may be about an order which is not listed any more.
    """
    working = [at for at in claim.rows if at in claim.weak and books[at].status is StatusClass.WORKING]
    young = {at for at in working if settled_ms is not None and (row_time(books[at]) or settled_ms) >= settled_ms}
    rows = tuple(at for at in claim.rows if at not in young)
    filled = [at for at in rows if at not in working and books[at].status is StatusClass.FILLED]
    over = chain.standing in (Standing.FILLED, Standing.DEAD)
    old = any(at in claim.weak and (row_time(books[at]) or 0) < listed_ms for at in filled)
    told = over and filled and claim.doubt is None and not old
    if told and abs(sum((books[at].qty for at in filled), Decimal(0)) - chain.executed) <= NOTHING:
        rows = tuple(at for at in rows if at not in working)
    return replace(claim, rows=rows, young=bool(young))


class _Finder:
    """The rows by the names that they give to orders.

    A client order id speaks only where a row names no listed order by an id of the venue: a bot may give the orders of
    one trade the same one. An order of which only the fills are listed has the client order id that its rows say; if
    none does, a row with a client order id that the venue does not list may be about it.
    """

    def __init__(
        self, rows: Sequence[LedgerOrder], symbols: Symbols, tag_prefix: str, chains: Collection[Chain]
    ) -> None:
        self._rows, self._symbols, self._prefix = rows, symbols, tag_prefix
        self._by_id: dict[str, list[int]] = defaultdict(list)
        self._by_client: dict[str, list[int]] = defaultdict(list)
        self._entered = {
            (row.profile_id, row.trade_id or ""): row.side or row.order_side
            for row in rows
            if (row.action or row.order_action) is Action.ENTRY
        }
        listed = order_keys(chains)
        said = {(chain.token, self._comparable(name)) for chain in chains for name in chain.clients.values() if name}
        self._strays: dict[str | None, Counter[Side | None]] = defaultdict(Counter)
        self._stray: set[int] = set()
        self._of_market: dict[tuple[str, str], Counter[Side | None]] = {}
        for at, row in enumerate(rows):
            for name in {row.exchange_order_id, row.order_id} - {None, ""}:
                self._by_id[str(name)].append(at)
            token = symbols.token(row.symbol) if row.symbol is not None else None
            if not row.client_order_id or row.exchange_order_id or (token, row.order_id) in listed:
                continue
            client = self._comparable(row.client_order_id)
            self._by_client[client].append(at)
            if (token, client) not in said and row.status in (StatusClass.FILLED, StatusClass.UNKNOWN):
                self._stray.add(at)
                self._strays[row.symbol][self._trades(row)] += 1

    def _comparable(self, client_order_id: str) -> str:
        return comparable(self._prefix, client_order_id)

    def about(self, chain: Chain) -> _Claim:
        """Return the rows about a chain, with why they may not be, where that is unclear."""
        named = {
            at for name in chain.ids for at in self._by_id.get(name, ()) if self._means(self._rows[at].symbol, chain)
        }
        clients, unknown = self._clients(chain, named)
        by_client = {at for name in clients for at in self._by_client.get(name, ())} - named
        by_client = {at for at in by_client if self._may_be_about(self._rows[at], chain)}
        doubt = self._shared(named, by_client)
        found = sorted(named | by_client)
        for symbol in (self._rows[at].symbol for at in found):
            if symbol is None:
                doubt = doubt or "a row about it has no symbol"
            elif self._symbols.token(symbol) != chain.token:
                doubt = doubt or f"the ledger books it under {symbol}, which may mean {chain.symbol}"
        return _Claim(tuple(found), frozenset(by_client), doubt, untold=unknown and self._may_be_strays(found, chain))

    def _means(self, symbol: str | None, chain: Chain) -> bool:
        """Say whether a row's symbol may mean a chain's market."""
        if symbol is None or self._symbols.token(symbol) == chain.token:
            return True
        return bool(self._symbols.namesakes(symbol, {chain.symbol}))

    def _clients(self, chain: Chain, named: Collection[int]) -> tuple[set[str], bool]:
        """Return the client order ids of a chain's orders, and whether there may be others.

        What the venue does not say of an order, the rows that name it by its id do.
        """
        clients = {name: {client} if client else set() for name, client in chain.clients.items()}
        for at in named:
            row = self._rows[at]
            for name in {row.exchange_order_id, row.order_id} & clients.keys():
                if row.client_order_id and name is not None and not chain.clients[name]:
                    clients[name].add(row.client_order_id)
        unknown = chain.standing is Standing.REPLACED or not all(clients.values())
        return {self._comparable(client) for found in clients.values() for client in found}, unknown

    def _may_be_strays(self, found: Collection[int], chain: Chain) -> bool:
        """Say whether a row that books something under a client order id that nobody lists may be about a chain."""
        market = (chain.token, chain.symbol)
        if market not in self._of_market:
            meant = (count for symbol, count in self._strays.items() if self._means(symbol, chain))
            self._of_market[market] = sum(meant, Counter())
        sides = {*Side, None} if chain.side is None else {chain.side, None}
        known = sum(at in self._stray and self._trades(self._rows[at]) in sides for at in found)
        return sum(self._of_market[market][side] for side in sides) > known

    def _trades(self, row: LedgerOrder) -> Side | None:
        """Return the side of the order that a row is about; None where it cannot be told.

        An exit may have the side of its position.
        """
        if (row.action or row.order_action) is Action.EXIT:
            entered = self._entered.get((row.profile_id, row.trade_id or ""))
            return entered.opposite if entered is not None else None
        return row.side or row.order_side

    def _may_be_about(self, row: LedgerOrder, chain: Chain) -> bool:
        """Say whether a row may be of a chain's market, and trade the way it does."""
        side = self._trades(row)
        return (side is None or chain.side is None or side is chain.side) and self._means(row.symbol, chain)

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
