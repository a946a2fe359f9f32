"""Gathering: everything that a decision about an account depends on, read before anything is decided."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trueup.core.errors import CannotKnow, ConfigurationError, UnknownName, nearest
from trueup.core.holdings import Holdings
from trueup.core.integrity.rules import RulesInForce
from trueup.core.orders import LedgerOrder
from trueup.core.repair.booked import booked_index
from trueup.core.repair.plan import AccountFacts
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.snapshot import Snapshot, unreadable
from trueup.core.symbols import Symbols
from trueup.core.tags import TagReader
from trueup.ports import Profile, ReadScope
from trueup.service.app import Account, App
from trueup.service.open_trades import OpenTrades, Repairs, read_repairs


@dataclass(frozen=True, slots=True)
class Gathered:
    """One account's facts, with the profiles that live on it and why its venue could not be read, if so.

    `rows` are those of the trades that may be open, `memory` what makes the next reading of them cheap; `elsewhere` are
    the profiles of other accounts, `began_ms` when the reading of ledger and venue began (epoch ms).
    """

    account: Account
    profiles: tuple[Profile, ...]
    facts: AccountFacts
    venue_error: CannotKnow | None = None
    memory: OpenTrades | None = None
    rows: tuple[LedgerOrder, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    began_ms: int = 0

    @property
    def snapshot(self) -> Snapshot:
        """Return what the venue claims."""
        return self.facts.snapshot


def choose_profiles(app: App, wanted: Sequence[str] | None) -> list[Profile]:
    """Return the profiles that a command is about: the named ones, else every enabled one."""
    known = {profile.profile_id: profile for profile in app.ledger.profiles()}
    if wanted:
        for name in wanted:
            if name not in known:
                raise UnknownName(f"There is no profile {name!r}.", nearest(name, known))
        return [known[name] for name in sorted(set(wanted))]
    chosen = [profile for profile in known.values() if profile.enabled]
    if not chosen:
        raise ConfigurationError(
            "There is no enabled profile.", "Name one in trueup.toml ([[profiles]]) and run `trueup init`."
        )
    return chosen


def require_symbols(symbols: Sequence[str] | None) -> None:
    """Refuse a name without a letter or digit: it is no symbol, and would quietly mean none."""
    for symbol in symbols or ():
        if not Symbols().token(symbol):
            raise ConfigurationError(
                f"{symbol!r} is no symbol: it has no letter or digit.", "Name one like BTC/USD or BTCUSD."
            )


def knows_symbol(gathered: Gathered, symbol: str) -> bool:
    """Say whether an account has an open trade, a position or a managed symbol of a name."""
    facts = gathered.facts
    token = gathered.account.symbols.token(symbol)
    managed = {name for tokens in facts.managed.values() for name in tokens or ()}
    return (
        token in managed or token in Holdings(facts.snapshot).symbols() or any(s.token == token for s in facts.slices)
    )


def homeless(app: App, profiles: Iterable[Profile], wanted: Sequence[str] | None) -> dict[str, CannotKnow]:
    """Return the profiles whose account is not known, with what is wrong; they are inconclusive and stop no other.

    ConfigurationError where the command names such a profile.
    """
    found: dict[str, CannotKnow] = {}
    for profile in profiles:
        try:
            app.account_of(profile)
        except ConfigurationError as error:
            if wanted:
                raise
            found[profile.profile_id] = CannotKnow(error.what, error.do)
    return found


def by_account(app: App, profiles: Iterable[Profile]) -> dict[str, list[Profile]]:
    """Return profiles by the name of their account, in order."""
    groups: dict[str, list[Profile]] = {}
    for profile in profiles:
        groups.setdefault(app.account_of(profile).name, []).append(profile)
    return dict(sorted(groups.items()))


def gather(
    app: App,
    account_name: str,
    since_ms: int | None = None,
    symbols: Iterable[str] = (),
    memory: OpenTrades | None = None,
    *,
    full: bool = False,
) -> Gathered:
    """Read one account: the open trades of all its profiles, its venue once, then what is booked of what it says.

    `since_ms` and `symbols` widen what is asked of the venue: to the oldest working order, and to what it trades. A
    `memory` makes the reading of the ledger cost what changed since the last one, unless a `full` one is asked for.
    What the bot books while the venue is read is seen by the last step, or by the guards of an apply.
    """
    account, began_ms = app.accounts[account_name], app.clock.now_ms()
    everybody = app.ledger.profiles()
    here = tuple(profile for profile in everybody if _lives_on(app, profile, account))
    rows = _open_rows(app, account, here, memory, full=full)
    slices = slices_of(rows, account.symbols)
    scope = _scope(app, here, slices)
    starts = [start for start in (scope.since_ms, since_ms) if start is not None]
    scope = ReadScope(min(starts, default=None), tuple(sorted({*scope.symbols, *symbols})), scope.held)
    snapshot, error = _snapshot(app, account, scope)
    facts = _facts(app, account, everybody, here, slices, snapshot, rules=app.integrity.in_force(), memory=memory)
    return Gathered(account, here, facts, error, memory, rows, profiles_elsewhere(app, everybody, account), began_ms)


def gather_again(app: App, gathered: Gathered, snapshot: Snapshot | None = None, *, full: bool = False) -> Gathered:
    """Read the ledger anew, on the same reading of the venue or on one that knows more; all of it where `full`."""
    account, here = gathered.account, gathered.profiles
    rows = _open_rows(app, account, here, gathered.memory, full=full)
    slices = slices_of(rows, account.symbols)
    everybody = app.ledger.profiles()
    seen, rules = snapshot or gathered.snapshot, gathered.facts.rules
    facts = _facts(app, account, everybody, here, slices, seen, rules=rules, memory=gathered.memory)
    elsewhere = profiles_elsewhere(app, everybody, account)
    return Gathered(
        account, here, facts, gathered.venue_error, gathered.memory, rows, elsewhere, gathered.began_ms
    )  # fmt: skip


def _facts(
    app: App,
    account: Account,
    everybody: Sequence[Profile],
    here: Sequence[Profile],
    slices: Sequence[Slice],
    snapshot: Snapshot,
    *,
    rules: RulesInForce,
    memory: OpenTrades | None,
) -> AccountFacts:
    exchange_ids, client_ids = executed_ids(snapshot)
    elsewhere = profiles_elsewhere(app, everybody, account)
    booked = app.ledger.rows_booking(exchange_ids, client_ids, app.backfill.policy.tag_prefix)
    audited = app.journal.audit_exists()
    applied = app.journal.applied(exchange_ids) if audited else []
    ids = [profile.profile_id for profile in here]
    repairs = _repairs(app, account, ids, memory) if audited else Repairs()
    return AccountFacts(
        snapshot=snapshot,
        slices=tuple(slices),
        booked=booked_index(
            _not_of(booked, elsewhere),
            [item for item in applied if item.profile_id not in elsewhere],
            account.symbols,
            app.backfill.policy.tag_prefix,
        ),
        known_profiles=frozenset(profile.profile_id for profile in everybody),
        managed={profile.profile_id: _managed(profile, account) for profile in here},
        reverted=repairs.reverted,
        settled=repairs.settled,
        spelt=app.ledger.trades_spelt(ids, _short_tags(app, everybody, snapshot, slices)),
        rules=rules,
    )


def wanted_of(app: App, account: Account) -> ReadScope:
    """Return what a run about all profiles of an account wants of its venue."""
    here = tuple(profile for profile in app.ledger.profiles() if _lives_on(app, profile, account))
    return _scope(app, here, slices_of(_open_rows(app, account, here), account.symbols))


def _open_rows(
    app: App, account: Account, profiles: Iterable[Profile], memory: OpenTrades | None = None, *, full: bool = False
) -> tuple[LedgerOrder, ...]:
    ids = [profile.profile_id for profile in profiles]
    if memory is not None:
        return tuple(memory.rows(app, ids, account.symbols, full=full))
    return tuple(app.ledger.open_trade_rows(ids))


def executed_ids(snapshot: Snapshot) -> tuple[set[str], set[str]]:
    """Return the exchange order ids and the client order ids of the orders that executed or stand in a chain.

    An order executed if it says so or if a fill does.
    """
    exchange_ids = {order.id for order in snapshot.orders if order.qty > 0}
    exchange_ids |= {fill.order_id for fill in snapshot.fills}
    exchange_ids |= {name for order in snapshot.orders for name in (order.replaces, order.replaced_by) if name}
    return exchange_ids, {
        order.client_order_id
        for order in snapshot.orders
        if order.client_order_id and (order.id in exchange_ids or order.replaces or order.replaced_by)
    }


def _short_tags(app: App, profiles: Iterable[Profile], snapshot: Snapshot, slices: Iterable[Slice]) -> set[str]:
    """Return the names in sub-tags that only begin an open trade's id: each may be the whole id of a closed trade."""
    reader = TagReader(app.backfill.policy.tag_prefix, (profile.profile_id for profile in profiles))
    tags = (reader.sub_tag(text) for text in {order.sub_tag for order in snapshot.orders})
    said = {name for tag in tags if tag is not None for name in tag.trades}
    names = sorted({piece.trade_id.lower() for piece in slices if piece.is_open})
    found = ((name, bisect_right(names, name)) for name in said)
    return {name for name, after in found if after < len(names) and names[after].startswith(name)}


def _scope(app: App, profiles: Iterable[Profile], slices: Iterable[Slice]) -> ReadScope:
    """Return what is wanted of the venue: the look-back, further where an open trade is older, and the symbols.

    A trade is as old as its first entry: what changed its quantities since (a split) matters too.
    """
    policy = app.backfill.policy
    trades = [trade for trade in slices if trade.is_open and trade.newest_ms > 0]
    starts = [app.clock.now_ms() - policy.lookback_ms, *(trade.opened_ms or trade.newest_ms for trade in trades)]
    held = {trade.symbol for trade in trades}
    symbols = held | {symbol for profile in profiles for symbol in profile.managed_symbols or ()}
    return ReadScope(min(starts) - policy.grace_ms, tuple(sorted(symbols)), tuple(sorted(held)))


def _snapshot(app: App, account: Account, scope: ReadScope) -> tuple[Snapshot, CannotKnow | None]:
    """Read the venue; an account whose venue cannot be read is inconclusive and stops no other."""
    try:
        return account.venue().read(scope), None
    except CannotKnow as error:
        return unreadable(account.name, app.clock.now_ms(), error.what, account.symbols), error


def _lives_on(app: App, profile: Profile, account: Account) -> bool:
    if profile.account is None:
        return len(app.accounts) == 1
    return profile.account == account.name


def profiles_elsewhere(app: App, profiles: Iterable[Profile], account: Account) -> frozenset[str]:
    """Return the ids of the profiles that live on another configured account.

    One whose account is unknown may live on this one, so that what it booked is never left out.
    """
    others = app.accounts.keys() - {account.name}
    return frozenset(profile.profile_id for profile in profiles if profile.account in others)


def _not_of(rows: Iterable[LedgerOrder], profiles: frozenset[str]) -> list[LedgerOrder]:
    """Leave out rows of other accounts' profiles: exchange order ids are unique within an account only."""
    return [row for row in rows if row.profile_id not in profiles]


def _repairs(app: App, account: Account, profile_ids: Sequence[str], memory: OpenTrades | None) -> Repairs:
    if memory is not None:
        return memory.repairs(app, profile_ids, account.symbols)
    return read_repairs(app, profile_ids, account.symbols)


def _managed(profile: Profile, account: Account) -> frozenset[str] | None:
    if profile.managed_symbols is None:
        return None
    return frozenset(account.symbols.token(symbol) for symbol in profile.managed_symbols)


def tokens_of(account: Account, symbols: Sequence[str] | None) -> frozenset[str] | None:
    """Return the tokens of the symbols that a command is about; None is all."""
    return frozenset(account.symbols.token(symbol) for symbol in symbols) if symbols else None
