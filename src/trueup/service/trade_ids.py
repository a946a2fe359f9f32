"""Trade ids for the rows that have none: read, decide, and give them in short transactions, each with its audit.

Every account is under its lease meanwhile, so that no reconciliation writes at the same time. What was given stays
given: a run that is killed is continued by running the command again, and a batch is taken back by its id.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from trueup.core.audit import AuditDecision, AuditRow
from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.core.integrity.by_hand import problem_of
from trueup.core.integrity.naming import (
    MANUAL,
    MEANS,
    How,
    KnownTrade,
    Left,
    Naming,
    Why,
    left_alone,
    mark_of,
    plan_hash,
)
from trueup.core.integrity.pairing import left_by_reason
from trueup.core.integrity.phases import BEGUN, ENDED, Phase
from trueup.core.integrity.rows import ORDERS
from trueup.core.integrity.rules import BLANK_TO_NULL
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.slices import fingerprint
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import Lease, Profile
from trueup.ports.lifecycle import IdBatch, IdChange, IdGuard, IdRevert, RowRefused
from trueup.service.app import App
from trueup.service.gates import LEASE_HELD
from trueup.service.gather import by_account, choose_profiles
from trueup.service.id_facts import Planned, guard_of, plan_of
from trueup.service.integrity import require_leave
from trueup.service.progress import Progress, silent

ROWS_AT_ONCE = 500
"""So many rows one transaction changes, as a rule: a trade is never given its id in two."""

NOT_THE_BOTS = "not_the_bots"


@dataclass(frozen=True, slots=True)
class IdRequest:
    """What is asked of the backfill; `profiles` None is every enabled one, and blank ids of anybody."""

    profiles: tuple[str, ...] | None = None
    apply: bool = False
    plan: str | None = None
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ByHand:
    """What a person decided: `ORDER_ID=TRADE_ID` each, and the orders that are not the bot's.

    A dry run needs no reason.
    """

    assign: tuple[str, ...]
    manual: tuple[str, ...]
    reason: str
    wait_seconds: float = 0.0
    dry_run: bool = False


@dataclass(slots=True)
class IdReport:
    """What got a trade id, or would get one, what is left for a person, and how many blank ids became NULL.

    `blanks_left` are those that could not: the ledger refuses it, as `blanks_why` says of one of them, the row changed
    meanwhile, or its own id is missing or not its alone.
    """

    dry_run: bool
    namings: list[Naming] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    blanks: dict[str, int] = field(default_factory=dict)
    blanks_left: list[IdChange] = field(default_factory=list)
    blanks_why: str = ""
    manual: list[str] = field(default_factory=list)
    plan_hash: str = ""
    batch_id: str | None = None

    @property
    def named_rows(self) -> int:
        """Return how many rows got an id."""
        return sum(len(naming.rows) for naming in self.namings)

    @property
    def exit_code(self) -> int:
        """Return 1 where rows are left for a person, else 0."""
        return 1 if self.left or self.blanks_left else 0

    def means(self, item: Left) -> str:
        """Return why rows are left, in words."""
        return MEANS[item.why]

    def as_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        return {
            "dry_run": self.dry_run, "batch_id": self.batch_id, "plan_hash": self.plan_hash,
            "named_rows": self.named_rows, "namings": [naming.as_json() for naming in self.namings],
            "left_rows": sum(len(item.rows) for item in self.left), "left_counts": left_by_reason(self.left),
            "left": [item.as_json() for item in self.left], "blank_to_null": dict(self.blanks), "manual": self.manual,
            "blank_left": [{"table": item.table, "id": item.row_id} for item in self.blanks_left],
            "blank_left_why": self.blanks_why or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reverted:
    """What was taken back of a batch: `kept` are blank ids, which no rule would let back; NULL says the same."""

    batch_id: str
    changed: int
    unchanged: int
    kept: int
    dry_run: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        return {
            "dry_run": self.dry_run, "batch_id": self.batch_id, "changed": self.changed, "unchanged": self.unchanged,
            "kept_blank_to_null": self.kept,
        }  # fmt: skip


def backfill(app: App, request: IdRequest, progress: Progress = silent) -> IdReport:
    """Give trade ids where they are proven, or say what would be given; blank ids become NULL."""
    if request.apply:
        require_leave(Phase.BACKFILL, app.integrity.standing())
    chosen = choose_profiles(app, request.profiles)
    report = IdReport(dry_run=not request.apply)
    with ExitStack() as stack:
        leases = hold(app, chosen, stack, request.wait_seconds)
        planned: dict[str, Planned] = {}
        for done, profile in enumerate(chosen):
            progress(f"reading the rows of {profile.profile_id}", done, len(chosen))
            planned[profile.profile_id] = plan_of(app, profile)
        plans = [found.plan for found in planned.values()]
        report.blanks = dict(app.lifecycle.count_blanks(request.profiles))
        report.plan_hash = plan_hash(plans, report.blanks)
        report.namings = [naming for plan in plans for naming in plan.namings]
        report.left = [item for plan in plans for item in plan.left]
        if request.plan is not None and request.plan != report.plan_hash:
            raise Refused(
                f"The plan is not the one reviewed any more: its hash is {report.plan_hash}, asked for was"
                f" {request.plan}. Nothing was written.",
                "See `trueup integrity backfill --dry-run` again, and apply with the new hash.",
            )
        _give(app, request, report, _Giver(app, app.clock.new_id("IDS"), report, leases, progress, planned))
    return report


def hold(app: App, profiles: Iterable[Profile], stack: ExitStack, wait_seconds: float) -> dict[str, Lease]:
    """Take the leases of the profiles' accounts, and return them by profile."""
    leases: dict[str, Lease] = {}
    for account, members in by_account(app, profiles).items():
        lease = stack.enter_context(app.leases.hold(f"account:{account}", wait_seconds))
        if lease is None:
            raise Refused(
                f"{LEASE_HELD}: another run holds account {account}.", "Try again, or wait with --wait SECONDS."
            )
        leases |= {profile.profile_id: lease for profile in members}
    return leases


def _give(app: App, request: IdRequest, report: IdReport, giver: "_Giver") -> None:
    """Write what was decided, transaction by transaction; a dry run makes the same ones and takes them back."""
    if not report.namings and not any(report.blanks.values()):
        return
    if report.dry_run and not app.ledger.writable:
        return
    if report.dry_run:
        giver.namings(rehearse=True)
        giver.blanks(request.profiles, rehearse=True)
        report.blanks[ORDERS] = report.blanks.get(ORDERS, 0) - giver.named_blanks
        return
    report.batch_id = giver.batch_id
    record = partial(app.integrity.record, Phase.BACKFILL.value, "trade_ids", giver.batch_id, batch_id=giver.batch_id)
    record(BEGUN, app.actor)
    giver.namings(rehearse=False)
    report.blanks = giver.blanks(request.profiles, rehearse=False)
    detail = {"rows": report.named_rows, "blank_to_null": report.blanks, "blank_left": len(report.blanks_left)}
    record(ENDED, app.actor, detail=detail)


@dataclass(slots=True)
class _Giver:
    """One batch on its way into the ledger."""

    app: App
    batch_id: str
    report: IdReport
    leases: dict[str, Lease]
    progress: Progress
    planned: Mapping[str, Planned]
    named_blanks: int = 0
    emptied: int = 0

    def namings(self, *, rehearse: bool) -> None:
        """Give the ids, each trade in one transaction; what changed meanwhile or is refused is left."""
        given: list[Naming] = []
        for part in _parts(self.report.namings):
            self.progress("giving trade ids", len(given), len(self.report.namings))
            trades = _trades(part)
            if len(trades) > 1 and self._set(part, rehearse=rehearse) is None:
                given += part
                continue
            for whole in trades:
                left = self._set(whole, rehearse=rehearse)
                if left is None:
                    given += whole
                else:
                    self.report.left += left_alone([row for n in whole for row in n.rows], *left)
        self.report.namings = given

    def _set(self, namings: Sequence[Naming], *, rehearse: bool) -> tuple[Why, str] | None:
        """Give ids in one transaction, and return why that could not be done."""
        changes = [
            IdChange(
                ORDERS, row.order_id, naming.profile_id, naming.symbol, None, naming.trade_id, naming.how.value,
                mark=mark_of(row),
            )
            for naming in namings
            for row in naming.rows
        ]  # fmt: skip
        name = namings[0].profile_id
        symbols = next(symbols for _, symbols in _spelling(self.app, {name}))
        guard = guard_of(name, self.planned[name], namings, symbols)
        try:
            return None if self.write(changes, (guard,), rehearse=rehearse) else (Why.CHANGED_MEANWHILE, "")
        except RowRefused as refused:
            return Why.REFUSED_BY_LEDGER, refused.why

    def write(
        self, changes: Sequence[IdChange], guards: tuple[IdGuard, ...], *, rehearse: bool = False, **metadata: object
    ) -> bool:
        """Write changes in one transaction, and say whether the rows were as they had been read."""
        anybodys = next(iter(self.leases.values()))
        batch = IdBatch(
            self.batch_id,
            self.leases.get(changes[0].profile_id, anybodys),
            tuple(changes),
            self.app.actor,
            self.report.plan_hash,
            iso(self.app.clock.now_ms()),
            dict(metadata),
            _spelling(self.app, {change.profile_id for change in changes}),
            guards,
        )
        result = self.app.lifecycle.set_ids(batch, rehearse=rehearse)
        changed = [json.loads(str(row["metadata"])) for row in result.audit]
        blank = [about for about in changed if about["before"] is not None]
        self.emptied += sum(about["after"] is None for about in blank)
        self.named_blanks += sum(about["after"] is not None for about in blank)
        return not result.stale

    def blanks(self, profiles: tuple[str, ...] | None, *, rehearse: bool) -> dict[str, int]:
        """Make blank ids NULL, and return how many by table; what the ledger refuses or the bot changed is left."""
        done: dict[str, int] = {}
        after: dict[str, str] = {}
        while changes := self.app.lifecycle.blanks(profiles, ROWS_AT_ONCE, after):
            self.progress("emptying blank trade ids", sum(done.values()), sum(self.report.blanks.values()))
            whole = self._empty(changes, rehearse=rehearse)
            for change in changes:
                if whole or self._empty([change], rehearse=rehearse):
                    done[change.table] = done.get(change.table, 0) + 1
                else:
                    self.report.blanks_left.append(change)
                after[change.table] = change.row_id
        return done

    def _empty(self, changes: Sequence[IdChange], *, rehearse: bool) -> bool:
        try:
            return self.write(changes, (), rehearse=rehearse)
        except RowRefused as refused:
            self.report.blanks_why = refused.what
            return False


def _spelling(app: App, names: Collection[str]) -> list[tuple[Profile, Symbols]]:
    """Return profiles, each with how its account spells its markets."""
    mine = [profile for profile in app.ledger.profiles() if profile.profile_id in names]
    return [(profile, app.account_of(profile).symbols) for profile in mine]


def _trades(namings: Sequence[Naming]) -> list[list[Naming]]:
    """Return namings by profile and trade: what one trade gets is given in one transaction."""
    groups: dict[tuple[str, str], list[Naming]] = {}
    for naming in namings:
        groups.setdefault((naming.profile_id, naming.trade_id), []).append(naming)
    return list(groups.values())


def _parts(namings: Sequence[Naming]) -> Iterator[list[Naming]]:
    """Yield namings of one profile, some hundred rows at a time, and every trade whole."""
    part: list[Naming] = []
    for whole in _trades(namings):
        size = sum(len(naming.rows) for naming in (*part, *whole))
        if part and (size > ROWS_AT_ONCE or part[0].profile_id != whole[0].profile_id):
            yield part
            part = []
        part = [*part, *whole]
    if part:
        yield part


def by_hand(app: App, asked: ByHand) -> IdReport:
    """Give rows the ids that a person says, or mark them as not the bot's; all of it, or nothing where a rule forbids.

    UnknownName for an order that is not there, Refused for one that has an id or would break its trade.
    """
    if not asked.dry_run:
        require_reason(asked.reason)
    require_leave(Phase.BACKFILL, app.integrity.standing())
    wanted = _assignments(asked.assign)
    if both := sorted(set(wanted) & set(asked.manual)):
        raise ConfigurationError(f"{both[0]} is in --assign and in --manual.", "Decide for one of them.")
    rows = _rows(app, [*wanted, *asked.manual])
    _require_known(app, rows.values())
    report = IdReport(dry_run=asked.dry_run)
    batch_id = app.clock.new_id("IDS")
    with ExitStack() as stack:
        leases = hold(
            app, choose_profiles(app, sorted({row.profile_id for row in rows.values()})), stack, asked.wait_seconds
        )
        given: dict[str, list[LedgerOrder]] = {}
        for order_id, trade_id in wanted.items():
            given.setdefault(trade_id, []).append(rows[order_id])
        guards = tuple(_fitting(app, trade_id, mine) for trade_id, mine in given.items())
        report.namings = [
            Naming(mine[0].profile_id, mine[0].symbol or "", trade_id, How.BY_HAND, tuple(mine))
            for trade_id, mine in sorted(given.items())
        ]
        report.manual = sorted(asked.manual)
        giver = _Giver(app, batch_id, report, leases, silent, {})
        changes = [
            IdChange(ORDERS, row.order_id, row.profile_id, row.symbol or "", None, naming.trade_id, How.BY_HAND.value,
                     mark=mark_of(row))
            for naming in report.namings for row in naming.rows
        ]  # fmt: skip
        changes += [
            IdChange(ORDERS, name, rows[name].profile_id, rows[name].symbol or "", None, None, NOT_THE_BOTS,
                     source=(rows[name].source, MANUAL), mark=mark_of(rows[name]))
            for name in report.manual
        ]  # fmt: skip
        if changes and not giver.write(changes, guards, rehearse=asked.dry_run, why=asked.reason.strip()):
            raise Refused("A row changed meanwhile; nothing was written.", "Look at it, and run the command again.")
        report.blanks = {ORDERS: giver.emptied}
        report.batch_id = batch_id if not asked.dry_run else None
    return report


def require_reason(reason: str) -> None:
    """Refuse a change by a person that gives no reason."""
    if not reason.strip():
        raise ConfigurationError("A reason is needed.", "Say why with --reason TEXT; it is kept in the audit.")


def _assignments(texts: Iterable[str]) -> dict[str, str]:
    """Return the trade of each order; ConfigurationError where they contradict each other."""
    wanted: dict[str, str] = {}
    spelt: dict[str, str] = {}
    for order_id, trade_id in map(_assignment, texts):
        if wanted.setdefault(order_id, trade_id) != trade_id:
            raise ConfigurationError(f"{order_id} is assigned twice, to different trades.", "Decide for one of them.")
        if (other := spelt.setdefault(trade_id.lower(), trade_id)) != trade_id:
            raise ConfigurationError(
                f"The trades {other} and {trade_id} differ in case alone.", "Spell one trade in one way."
            )
    return wanted


def _assignment(text: str) -> tuple[str, str]:
    order_id, sign, trade_id = text.rpartition("=")
    if not sign or not order_id.strip():
        raise ConfigurationError(f"--assign {text!r} names no order and trade.", "Write it as ORDER_ID=TRADE_ID.")
    return order_id.strip(), trade_id.strip()


def _rows(app: App, order_ids: Sequence[str]) -> dict[str, LedgerOrder]:
    """Return the orders that a person named, each once; one that has an id already is refused."""
    found = app.lifecycle.rows_by_id(order_ids)
    rows, times = {row.order_id: row for row in found}, Counter(row.order_id for row in found)
    for name in order_ids:
        if times[name] > 1:
            raise Refused(
                f"There are {times[name]} orders {name}, so that nothing says which one is meant.",
                "Give each row an id of its own, by hand.",
            )
        if name not in rows:
            raise UnknownName(f"There is no order {name!r} in the ledger.", "`trueup integrity backfill` lists them.")
        if rows[name].trade_id is not None:
            raise Refused(
                f"Order {name} has the trade id {rows[name].trade_id} already.", "An id that is there stays there."
            )
        if rows[name].status is StatusClass.DEAD:
            raise Refused(f"Order {name} is {rows[name].word}, and needs no trade id.", "Leave it out.")
    return rows


def _require_known(app: App, rows: Iterable[LedgerOrder]) -> None:
    known = {profile.profile_id for profile in app.ledger.profiles()}
    for row in rows:
        if row.profile_id not in known:
            whose = f"of profile {row.profile_id!r}, which trueup does not know" if row.profile_id else "of no profile"
            raise Refused(
                f"Order {row.order_id} is {whose}.",
                "Name its profile in trueup.toml and run `trueup init`, or correct the row's profile by hand.",
            )


def _fitting(app: App, trade_id: str, rows: Sequence[LedgerOrder]) -> IdGuard:
    """Return what the trade has, which must still be so then.

    Refused for an id that is malformed, of another profile or symbol, or a trade that would exit more than it entered.
    """
    profile = next(found for found in app.ledger.profiles() if found.profile_id == rows[0].profile_id)
    known: list[KnownTrade] = app.lifecycle.trades_like(profile.profile_id, [trade_id.lower()])
    there = app.ledger.rows_of_trades([(profile.profile_id, trade_id)])
    problem = problem_of(trade_id, rows, known, there, app.account_of(profile).symbols)
    if problem is not None:
        raise Refused(f"{trade_id} is not given: {problem}. Nothing was written.", "Look with `trueup explain`.")
    return IdGuard(profile.profile_id, {trade_id: fingerprint(there)})


def revert(
    app: App,
    batch_id: str,
    reason: str,
    wait_seconds: float = 0.0,
    progress: Progress = silent,
    *,
    dry_run: bool = False,
) -> Reverted:
    """Take back what a batch gave; what was taken back before stays so. Refused where a row changed since."""
    if not dry_run:
        require_reason(reason)
    rows = [row for row in app.journal.audit_rows(batch_id) if row["decision"] == AuditDecision.TRADE_ID_SET]
    if not rows:
        raise UnknownName(f"No batch {batch_id!r} gave trade ids.", "`trueup backfill list` names the batches.")
    kept = [row for row in rows if row["reason"] == BLANK_TO_NULL]
    given = [row for row in rows if row["reason"] != BLANK_TO_NULL]
    active = [row for row in given if row["reverted_at"] is None]
    owners = sorted({str(row["profile_id"]) for row in active})
    changed = 0
    with ExitStack() as stack:
        leases = hold(app, choose_profiles(app, owners), stack, wait_seconds) if owners else {}
        for part in _undo_parts(active):
            progress(f"taking back {batch_id}", changed, len(active))
            lease = leases[str(part[0]["profile_id"])]
            now = iso(app.clock.now_ms())
            result = app.lifecycle.revert_ids(
                IdRevert(
                    batch_id,
                    lease,
                    tuple(part),
                    app.actor,
                    reason.strip(),
                    now,
                    _spelling(app, {str(part[0]["profile_id"])}),
                ),
                rehearse=dry_run,
            )
            if result.moved:
                raise Refused(
                    f"Batch {batch_id} is not taken back further: rows of {', '.join(result.moved[:3])} came or changed"
                    f" since, and the trade would be torn apart; {changed} rows were taken back.",
                    "Take back first what came later (`trueup backfill list` names the batches), or correct the trade's"
                    " rows by hand; `trueup explain TRADE_ID` shows them.",
                )
            if result.stale:
                raise Refused(
                    f"Batch {batch_id} is not taken back further: {', '.join(result.stale[:3])} changed since;"
                    f" {changed} rows {'would have been' if dry_run else 'were'} taken back.",
                    "Put the row's trade id as the audit has it (`trueup audit export`), or leave the batch.",
                )
            changed += result.changed
    return Reverted(batch_id, changed, len(given) - len(active), len(kept), dry_run)


def _undo_parts(rows: Sequence[AuditRow]) -> Iterator[list[AuditRow]]:
    """Yield rows of one profile, some hundred at a time, and every trade whole."""
    groups: dict[tuple[str, str], list[AuditRow]] = {}
    for row in rows:
        groups.setdefault((str(row["profile_id"]), str(row["trade_id"])), []).append(row)
    part: list[AuditRow] = []
    for whole in groups.values():
        if part and (len(part) + len(whole) > ROWS_AT_ONCE or part[0]["profile_id"] != whole[0]["profile_id"]):
            yield part
            part = []
        part = [*part, *whole]
    if part:
        yield part
