"""What a flattening rests on: the closings in flight as the venue knows them, then one reading of all of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trueup.core.errors import CannotKnow
from trueup.core.flatten.earlier import CLOCKS_MS, Earlier
from trueup.core.flatten.machine import Outcome, Verdict, verdict_of
from trueup.core.flatten.record import Entry, Progress, Sent, What, progress_of
from trueup.core.flatten.targets import Books, Share, Targets, is_closing, targets_of
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.snapshot import Feed, Snapshot, VenueOrder
from trueup.core.symbols import Symbols
from trueup.core.tags import TagReader
from trueup.ports import Profile, ReadScope, VenueActions
from trueup.service.app import App
from trueup.service.flatten_jobs import Job, members_of, owner_of

_BEFORE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Reading:
    """The targets by one reading, and how closings ended."""

    targets: Targets
    verdicts: tuple[tuple[Verdict, Sent], ...] = ()


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What the ledger says of an account."""

    profiles: tuple[Profile, ...]
    rows: tuple[LedgerOrder, ...]
    slices: tuple[Slice, ...]


def look(app: App, account: str, progress: Progress, actions: VenueActions) -> dict[str, Outcome]:
    """Ask the venue for each closing in flight, by the names that it can know."""
    venue = app.accounts[account].venue()
    found: dict[str, Outcome] = {}
    for sent in progress.in_flight:
        client = sent.client_order_id if actions.names_orders else None
        if client is None and sent.order_id is None:
            continue
        answer = venue.find_order(sent.symbol, sent.order_id, client, sent.sent_ms)
        if answer.order is not None:
            found[sent.client_order_id] = _outcome(answer.order)
        elif answer.absent and client is not None:
            found[sent.client_order_id] = Outcome(absent=True)
    return found


def settle(app: App, job: Job, progress: Progress, outcomes: Mapping[str, Outcome]) -> Reading:
    """Read the venue, and say which closings are over and what is to be done; the reading comes after the looks."""
    ledger = _read_ledger(app, job.account)
    now_ms = app.clock.now_ms()
    try:
        snapshot = _read_venue(app, job, ledger, progress)
    except CannotKnow as error:
        verdicts = _verdicts(app, job, progress, outcomes, None, now_ms)
        return Reading(Targets(why=error.what), tuple(verdicts))
    books = _books(app, job, ledger, progress)
    targets = targets_of(job.share, books, snapshot, _tags(app), app.backfill.policy.dust_abs)
    return Reading(targets, tuple(_verdicts(app, job, progress, outcomes, snapshot, now_ms)))


def our_closings(app: App, account: str, snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    """Return by token and id the orders of a reading by which trueup itself closed positions."""
    entries = app.flattenings.closings(account, snapshot.as_of_ms - app.backfill.policy.lookback_ms - _BEFORE_MS)
    if not entries:
        return frozenset()
    clients = {entry.client_order_id for entry in entries}
    tokens = {entry.client_order_id: entry.token for entry in entries if entry.token is not None}
    ids = {(tokens.get(entry.client_order_id), entry.order_id) for entry in entries if entry.order_id is not None}
    named = ((snapshot.symbols.token(order.symbol), order) for order in snapshot.orders)
    return frozenset(
        (token, order.id) for token, order in named if order.client_order_id in clients or (token, order.id) in ids
    )


def rehearsed(app: App, account: str, share: Share) -> Targets:
    """Return what one reading says of a share, for a rehearsal: nothing is on record and nothing is sent."""
    job = Job(account, share.scope, share.scope, "", share)
    return settle(app, job, Progress(), {}).targets


def _read_ledger(app: App, account: str) -> _Ledger:
    profiles = tuple(members_of(app, account))
    rows = tuple(app.ledger.open_trade_rows([profile.profile_id for profile in profiles]))
    return _Ledger(profiles, rows, tuple(slices_of(rows, app.accounts[account].symbols)))


def _read_venue(app: App, job: Job, ledger: _Ledger, progress: Progress) -> Snapshot:
    started = progress.started_ms if progress.started_ms is not None else app.clock.now_ms()
    held = {each.symbol for each in ledger.slices if each.is_open}
    managed = {symbol for profile in ledger.profiles for symbol in profile.managed_symbols or ()}
    scope = ReadScope(started - _BEFORE_MS, tuple(sorted(held | managed)), tuple(sorted(held)))
    return app.accounts[job.account].venue().read(scope)


def _books(app: App, job: Job, ledger: _Ledger, progress: Progress) -> Books:
    token_of = app.accounts[job.account].symbols.token
    managed = {
        profile.profile_id: frozenset(map(token_of, profile.managed_symbols)) if profile.managed_symbols else None
        for profile in ledger.profiles
    }
    owners: dict[tuple[str, str], str] = {}
    for row in ledger.rows:
        if row.status is StatusClass.WORKING:
            if row.exchange_order_id:
                owners[token_of(row.symbol or ""), row.exchange_order_id] = row.profile_id
            if row.client_order_id:
                owners["", row.client_order_id] = row.profile_id
    symbols = app.accounts[job.account].symbols
    sent, earlier = _unbooked(app, symbols, progress.sent), _earlier(app, job, ledger)
    open_yet = {each.client_order_id for each in _unbooked(app, symbols, [each.sent for each in earlier])}
    kept = tuple(each for each in earlier if each.sent.client_order_id in open_yet)
    return Books(ledger.slices, managed, owners, sent, kept)


def _earlier(app: App, job: Job, ledger: _Ledger) -> list[Earlier]:
    """Return the closings of other flattenings of the account that may have closed what is open in the share."""
    share = job.share
    opened = [each.opened_ms for each in ledger.slices if each.profile_id in share.mine and each.holds_something]
    if not opened or not share.others:
        return []
    here = frozenset(profile.profile_id for profile in ledger.profiles)
    stories: dict[str, list[Entry]] = defaultdict(list)
    sent: set[str | None] = set()
    for entry in app.flattenings.closings(job.account, min(opened) - CLOCKS_MS):
        if entry.what is What.CLOSING:
            sent.add(entry.client_order_id)
        owner = owner_of(entry.scope, here)
        mine = owner is None or (owner in share.mine and not _beside(app, job, entry.scope, owner))
        if entry.episode != job.episode and entry.client_order_id in sent and mine:
            stories[entry.episode].append(entry)
    return [
        Earlier(each, wide=owner_of(entries[0].scope, here) is None or _wider(app, job, entries[0].scope, each))
        for entries in stories.values()
        for each in progress_of(entries).sent
    ]


def _beside(app: App, job: Job, scope: str, owner: str) -> bool:
    """Say whether a scope is of a symbol that the share is not about."""
    if job.share.token is None or not scope.startswith("symbol:"):
        return False
    symbol = scope.removeprefix(f"symbol:{owner}:")
    return app.accounts[job.account].symbols.token(symbol) != job.share.token


def _wider(app: App, job: Job, scope: str, sent: Sent) -> bool:
    """Say whether a closing may have been of symbols that the share is not about, which are of the same coin."""
    coin = app.accounts[job.account].symbols.base_asset(sent.symbol)
    return coin is not None and job.share.token is not None and scope.startswith("profile:")


def _unbooked(app: App, symbols: Symbols, sent: Iterable[Sent]) -> tuple[Sent, ...]:
    """Return the closings that no row of the ledger has booked: the others are in the open quantities already."""
    ours = tuple(sent)
    ids = {each.order_id for each in ours if each.order_id} | {each.client_order_id for each in ours}
    if not ids:
        return ours
    rows = app.ledger.rows_booking(ids, ids, app.backfill.policy.tag_prefix)
    named = {(symbols.token(row.symbol or ""), row.exchange_order_id) for row in rows}
    clients = {row.client_order_id for row in rows}
    return tuple(
        each for each in ours if (each.token, each.order_id) not in named and each.client_order_id not in clients
    )


def _verdicts(
    app: App, job: Job, progress: Progress, outcomes: Mapping[str, Outcome], snapshot: Snapshot | None, now_ms: int
) -> Iterable[tuple[Verdict, Sent]]:
    token_of = app.accounts[job.account].symbols.token
    for sent in progress.in_flight:
        seen = outcomes.get(sent.client_order_id, Outcome())
        works = None
        if snapshot is not None:
            named = _named(snapshot, sent)
            if not seen.found and named is not None:
                seen = _outcome(named)
            if snapshot.feed(Feed.OPEN_ORDERS).complete:
                alike = (order for order in snapshot.orders if order.working and token_of(order.symbol) == sent.token)
                works = any(order.side is sent.side and sent.order_id in (None, order.id) for order in alike)
        verdict = verdict_of(sent, seen, works, now_ms, app.safety.flatten)
        if verdict is not None:
            yield verdict, sent


def _named(snapshot: Snapshot, sent: Sent) -> VenueOrder | None:
    """Return a closing as the reading lists it."""
    token_of = snapshot.symbols.token
    ours = (o for o in snapshot.orders if is_closing(token_of(o.symbol), o.id, o.client_order_id, sent))
    return next(ours, None)


def _outcome(order: VenueOrder) -> Outcome:
    return Outcome(found=True, working=order.working, executed=order.qty, order_id=order.id)


def _tags(app: App) -> TagReader:
    return TagReader(app.backfill.policy.tag_prefix, (profile.profile_id for profile in app.ledger.profiles()))
