"""What a flattening is about: which orders are to be canceled, and how much of which positions is to be closed.

Invariant 5 (Unknown is not flat): what the reading does not tell is unknown, and is named. Never more than a complete
reading says is held; on an account that others share never more than the profile's own open quantity.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.core.decimals import exactly, plain
from trueup.core.flatten.earlier import Earlier, Gone, gone_of
from trueup.core.flatten.record import Sent
from trueup.core.holdings import Holding, Holdings
from trueup.core.orders import Side
from trueup.core.repair.slices import Slice
from trueup.core.snapshot import Feed, Snapshot, VenueOrder
from trueup.core.tags import TagReader

ZERO = Decimal(0)
Managed = Mapping[str, frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Share:
    """Whose orders and positions a flattening is about.

    `mine` are the profiles that are flattened, `others` those of the account that are not. `everything` is also what no
    profile's ledger explains. `token` is the one symbol that is meant, None for all; `halted` are symbols in HALT, of
    which nothing is touched.
    """

    scope: str
    mine: frozenset[str]
    others: frozenset[str] = frozenset()
    everything: bool = True
    token: str | None = None
    halted: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Say whether it is the whole account."""
        return self.everything and not self.others and self.token is None and not self.halted


@dataclass(frozen=True, slots=True)
class Lot:
    """One leg of a position: `side` closes it, `held` is the leg's size, `wanted` how much of it may be closed."""

    symbol: str
    token: str
    side: Side
    held: Decimal
    wanted: Decimal

    @property
    def qty(self) -> Decimal:
        """Return how much is to be closed."""
        return max(ZERO, min(self.held, self.wanted))

    def words(self) -> str:
        """Return the leg in words."""
        return f"{self.symbol}: {plain(self.held)} {'long' if self.side is Side.SELL else 'short'}"


@dataclass(frozen=True, slots=True)
class Work:
    """A working order that is to be canceled."""

    symbol: str
    token: str
    order_id: str
    client_order_id: str | None
    side: Side

    def is_one_of(self, sent: Iterable[Sent]) -> bool:
        """Say whether it is one of our closings."""
        return any(is_closing(self.token, self.order_id, self.client_order_id, each) for each in sent)


def is_closing(token: str, order_id: str, client_order_id: str | None, sent: Sent) -> bool:
    """Say whether an order is a closing of ours; ids of orders are unique within a symbol only."""
    return client_order_id == sent.client_order_id or (token, order_id) == (sent.token, sent.order_id)


@dataclass(frozen=True, slots=True)
class Targets:
    """What one reading says of a share.

    `why` says why the reading is not complete, empty where it is. `unknown` are symbols of which it tells nothing,
    `left` what is in the scope and cannot be closed from here, `apart` what belongs to somebody else.
    """

    lots: tuple[Lot, ...] = ()
    working: tuple[Work, ...] = ()
    unknown: Mapping[str, str] | None = None
    left: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says of the account: open trades, managed symbols, the profiles' own working orders by token and
    id, or by client order id.

    `sent` are our closings of the episode which no row of the ledger has booked, `earlier` those of other episodes
    that may have closed something of the share.
    """

    slices: Sequence[Slice] = ()
    managed: Managed | None = None
    order_owner: Mapping[tuple[str, str], str] | None = None
    sent: Sequence[Sent] = ()
    earlier: Sequence[Earlier] = ()


@exactly
def targets_of(share: Share, books: Books, snapshot: Snapshot, tags: TagReader, dust: Decimal) -> Targets:
    """Return what one reading says of a share."""
    holdings = Holdings(snapshot)
    why = _incomplete(holdings, snapshot)
    if why:
        return Targets(why=why)
    found = _Found(share, books, snapshot, holdings, dust)
    for token, name in sorted(_names(share, books, snapshot, holdings).items()):
        found.look(token, name)
    working, apart = _orders(share, books, snapshot, tags)
    return Targets(
        tuple(_once_a_coin(found)), tuple(working), found.unknown, tuple(found.left),
        tuple(found.apart + apart),
    )  # fmt: skip


def _incomplete(holdings: Holdings, snapshot: Snapshot) -> str:
    opened = snapshot.feed(Feed.OPEN_ORDERS)
    if not holdings.coverage.complete:
        return f"the positions are {holdings.coverage.state}: {holdings.coverage.reason or 'no reason was given'}"
    if not opened.complete:
        return f"the working orders are {opened.state}: {opened.reason or 'no reason was given'}"
    bad = [row for row in snapshot.malformed if row.feed in (Feed.OPEN_ORDERS, Feed.POSITIONS)]
    return f"{bad[0].feed} cannot be read in full: {bad[0].where}: {bad[0].why}" if bad else ""


def _names(share: Share, books: Books, snapshot: Snapshot, holdings: Holdings) -> dict[str, str]:
    """Return the symbols that a share is about, as the venue is asked for them, by token."""
    token_of = snapshot.symbols.token
    held = holdings.symbols()
    named = {each.token: each.symbol for each in books.slices if each.profile_id in share.mine and each.is_open}
    alone = share.everything or not share.others
    if alone:
        managed = books.managed or {}
        for profile in sorted(share.mine):
            named = {**{token: token for token in managed.get(profile) or ()}, **named}
        takes_all = share.everything or any(managed.get(profile) is None for profile in share.mine)
        if takes_all:
            unread = {token_of(name): name for name in snapshot.unknown_symbols}
            named = {**unread, **held, **named}
    spelt = {**named, **{token: name for token, name in held.items() if token in named}}
    return {token: name for token, name in spelt.items() if share.token in (None, token)}


class _Found:
    """What was found while the symbols were looked at."""

    def __init__(self, share: Share, books: Books, snapshot: Snapshot, holdings: Holdings, dust: Decimal) -> None:
        self.share = share
        self.holdings = holdings
        self.symbols = snapshot.symbols
        self.dust = dust
        self.sent = [self._pooled(each) for each in books.sent]
        self.own: list[Slice] = []
        self.earlier = [replace(each, sent=self._pooled(each.sent)) for each in books.earlier]
        self.lots: list[Lot] = []
        self.unknown: dict[str, str] = {}
        self.left: list[str] = []
        self.apart: list[str] = []
        self.mine: dict[tuple[str, Side], Decimal] = defaultdict(lambda: ZERO)
        self.by_token: dict[tuple[str, Side], Decimal] = defaultdict(lambda: ZERO)
        self.others: dict[tuple[str, Side], Decimal] = defaultdict(lambda: ZERO)
        self.unclear: dict[str, str] = {}
        for each in books.slices:
            if not each.is_open:
                continue
            pool = self.pool(each.symbol, each.token)
            meant = share.token in (None, each.token) and each.token not in share.halted
            owner = self.mine if each.profile_id in share.mine and meant else self.others
            owner[pool, each.exit_side] += max(ZERO, each.open_qty)
            if owner is self.mine:
                self.own.append(replace(each, token=pool))
                self.by_token[each.token, each.exit_side] += max(ZERO, each.open_qty)
            if each.defect is not None:
                self.unclear[pool] = f"what {each.trade_id} of {each.profile_id} holds is not known"

    def pool(self, symbol: str, token: str) -> str:
        """Return what symbols share where they are of one coin: its balance is the holding of each of them."""
        assets = self.holdings.balance_assets(symbol)
        return f"coin {assets[0]}" if len(assets) == 1 else token

    def _pooled(self, sent: Sent) -> Sent:
        return replace(sent, token=self.pool(sent.symbol, sent.token))

    def look(self, token: str, name: str) -> None:
        """Take in one symbol."""
        if token in self.share.halted:
            self.apart.append(f"{name}: it is in HALT")
            return
        holding = self.holdings.of(name)
        if holding.unknown is not None:
            self.unknown[name] = holding.unknown
            return
        pool = self.pool(name, token)
        shared = any(self.others[pool, side] > 0 for side in Side)
        limited = shared or (bool(self.share.others) and not self.share.everything)
        if limited and pool in self.unclear:
            self.left.append(f"{name}: {self.unclear[pool]}")
            return
        legs = {Side.SELL if leg > 0 else Side.BUY: abs(leg) for leg in holding.legs if leg}
        for side, held in sorted(legs.items()):
            if not limited:
                self.lots.append(Lot(name, token, side, held, held))
            else:
                self._limited(Lot(name, token, side, held, held), holding, pool)
        if limited:
            self._netted(pool, name, legs)

    def _limited(self, leg: Lot, holding: Holding, pool: str) -> None:
        """Take in a leg of which others hold a part: the profile's own open quantity bounds what is closed."""
        theirs = self.others[pool, leg.side]
        sent = [each for each in self.sent if (each.token, each.side) == (pool, leg.side)]
        most = sum((each.used for each in sent), ZERO)
        gone = self._gone(pool, leg.side)
        wanted = max(ZERO, self.mine[pool, leg.side] - gone.qty - most)
        known = gone.known and all(each.in_flight or not each.used or each.executed is not None for each in sent)
        if not gone.known and leg.held - wanted > self.dust:
            self.left.append(f"{leg.words()}: how much of it earlier closing orders left to the scope is not known")
        elif wanted <= self.dust and not known and self._rest(leg, holding, pool) > self.dust:
            self.left.append(f"{leg.words()}: how much of the closing orders was executed is not known")
        self.lots.append(Lot(leg.symbol, leg.token, leg.side, leg.held, wanted))
        beyond = leg.held - wanted
        if beyond > self.dust and theirs > 0:
            self.apart.append(f"{leg.symbol}: {plain(min(beyond, theirs))} are open in other profiles")
        if known and beyond - theirs > self.dust:
            self.left.append(f"{leg.symbol}: {plain(beyond - theirs)} that no open trade of the scope explains")

    def _gone(self, pool: str, side: Side) -> Gone:
        return gone_of(self.own, self.earlier, pool, side)

    def _rest(self, leg: Lot, holding: Holding, pool: str) -> Decimal:
        """Return what of a leg others do not explain; what they hold the other way is not in one net position."""
        net = sum(1 for qty in holding.legs if qty) == 1
        across = self.others[pool, leg.side.opposite] if net else ZERO
        return leg.held - max(ZERO, self.others[pool, leg.side] - across)

    def _netted(self, pool: str, name: str, legs: Mapping[Side, Decimal]) -> None:
        """Name what the profile holds by its ledger and the venue nets against others."""
        for side in Side:
            most = sum((each.used for each in self.sent if (each.token, each.side) == (pool, side)), ZERO)
            gone = self._gone(pool, side)
            open_qty = self.mine[pool, side] - most - (gone.qty if gone.known else ZERO)
            if open_qty > self.dust and side not in legs and self.others[pool, side.opposite] > 0:
                told = "the venue nets them against other profiles"
                self.left.append(f"{name}: {plain(open_qty)} by the ledger; {told}")


def _once_a_coin(found: _Found) -> Iterable[Lot]:
    """Leave one lot for each coin: the balance of BTC is the holding of BTC/USDT and of BTC/USDC alike."""
    by_coin: dict[tuple[str, Decimal], list[Lot]] = defaultdict(list)
    for lot in found.lots:
        pool = found.pool(lot.symbol, lot.token)
        if pool == lot.token:
            yield lot
        else:
            by_coin[pool, lot.held].append(lot)
    for lots in by_coin.values():
        chosen = max(lots, key=lambda lot: (found.by_token[lot.token, lot.side], lot.token))
        wanted = max(lot.wanted for lot in lots)
        yield Lot(chosen.symbol, chosen.token, chosen.side, chosen.held, wanted)


def _orders(share: Share, books: Books, snapshot: Snapshot, tags: TagReader) -> tuple[list[Work], list[str]]:
    """Return the working orders that are to be canceled, and in words those that are somebody else's or may be."""
    owners = books.order_owner or {}
    ours: dict[tuple[str, str], Work] = {}
    apart: list[str] = []
    for order in (order for order in snapshot.orders if order.working):
        token = snapshot.symbols.token(order.symbol)
        if share.token not in (None, token) or token in share.halted:
            continue
        work = Work(order.symbol, token, order.id, order.client_order_id, order.side)
        owner = owners.get((token, order.id)) or owners.get(("", order.client_order_id or "")) or _tagged(order, tags)
        unowned = owner is None and (share.everything or not _may_be_theirs(share, books, token))
        if owner in share.mine or unowned or work.is_one_of(books.sent):
            ours[token, order.id] = work
        elif owner is None:
            apart.append(f"order {order.id} of {order.symbol}: whose it is is not known")
    return list(ours.values()), apart


def _tagged(order: VenueOrder, tags: TagReader) -> str | None:
    """Return the profile that an order's tags name."""
    for tag in (tags.client_order_id(order.client_order_id), tags.sub_tag(order.sub_tag)):
        if tag is not None and tag.profile_id is not None:
            return tag.profile_id
    return None


def _may_be_theirs(share: Share, books: Books, token: str) -> bool:
    """Say whether another profile of the account trades a symbol, or may."""
    managed = books.managed or {}
    if any(managed.get(profile) is None or token in (managed.get(profile) or ()) for profile in share.others):
        return True
    return any(each.token == token and each.profile_id in share.others and each.is_open for each in books.slices)
