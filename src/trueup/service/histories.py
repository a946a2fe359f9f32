"""History rows for closed trades that have none: found by a walk, made from the trade's orders, audited, taken back.

The bot may be about to write the row of a trade that closed just now, so those are left. What is found goes to a file
on disk, so that memory does not grow with a bot that never wrote a history.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from tempfile import SpooledTemporaryFile

from trueup.core.audit import AuditDecision, AuditRow
from trueup.core.errors import Refused, UnknownName
from trueup.core.integrity.naming import ToldAlone
from trueup.core.integrity.phases import Phase
from trueup.core.integrity.rows import HISTORY
from trueup.core.integrity.untold import MEANS, NotTold, Untold, unless_told, untold
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import Lease, Profile
from trueup.ports.lifecycle import HistoryBatch, IdRevert
from trueup.service.app import App
from trueup.service.gather import choose_profiles
from trueup.service.integrity import require_leave
from trueup.service.integrity_report import SpellingOf
from trueup.service.progress import Progress, silent
from trueup.service.trade_ids import Reverted, hold, require_reason

TRADES_AT_ONCE = 200
"""So many trades one transaction writes, as a rule."""

LISTED = 1000
"""So many trades are listed of what is added, and of what is left; all are counted."""

_IN_MEMORY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What is asked; `profiles` None is every enabled one."""

    profiles: tuple[str, ...] | None = None
    apply: bool = False
    plan: str | None = None
    wait_seconds: float = 0.0


@dataclass(slots=True)
class HistoryReport:
    """What history rows were added, or would be, by profile; and which closed trades are left without one, by reason.

    `trades` and `left` list the first; `added` and `left_counts` count all.
    """

    dry_run: bool
    added: Counter[str] = field(default_factory=Counter)
    trades: list[tuple[str, str]] = field(default_factory=list)
    left: list[Untold] = field(default_factory=list)
    left_counts: Counter[str] = field(default_factory=Counter)
    plan_hash: str = ""
    batch_id: str | None = None

    @property
    def exit_code(self) -> int:
        """Return 1 where closed trades are left without a history row, else 0."""
        return 1 if self.left_counts.total() else 0

    def leave(self, item: Untold) -> None:
        """Count a trade that is left, and list it if there is room."""
        assert item.why is not None
        self.left_counts[item.why.value] += 1
        if len(self.left) < LISTED:
            self.left.append(item)

    def as_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        return {
            "dry_run": self.dry_run, "batch_id": self.batch_id, "plan_hash": self.plan_hash,
            "added": self.added.total(), "by_profile": dict(sorted(self.added.items())),
            "trades": [{"profile_id": owner, "trade_id": trade} for owner, trade in self.trades],
            "left_count": self.left_counts.total(), "left_counts": dict(sorted(self.left_counts.items())),
            "left": [
                {"profile_id": item.profile_id, "trade_id": item.trade_id, "why": item.why, "means": MEANS[item.why]}
                for item in self.left if item.why is not None
            ],
        }  # fmt: skip


def write_histories(app: App, request: HistoryRequest, progress: Progress = silent) -> HistoryReport:
    """Add the history rows that closed trades lack, or say which would be added."""
    if request.apply:
        require_leave(Phase.BACKFILL, app.integrity.standing())
    chosen = {profile.profile_id: profile for profile in choose_profiles(app, request.profiles)}
    report = HistoryReport(dry_run=not request.apply)
    with ExitStack() as stack:
        leases = hold(app, chosen.values(), stack, request.wait_seconds)
        writer = _Writer(app, report, {name: chosen[name] for name in leases}, leases, progress)
        with SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8") as found:
            everybody = None if request.profiles is None else tuple(chosen)
            for item in writer.find(everybody):
                found.write(f"{json.dumps([item.profile_id, item.trade_id])}\n")
            if request.plan is not None and request.plan != report.plan_hash:
                raise Refused(
                    f"The plan is not the one reviewed any more: its hash is {report.plan_hash}, asked for was"
                    f" {request.plan}. Nothing was written.",
                    "See `trueup integrity history --dry-run` again, and apply with the new hash.",
                )
            found.seek(0)
            writer.write(json.loads(line) for line in found)
    return report


@dataclass(slots=True)
class _Writer:
    """One batch on its way into the history."""

    app: App
    report: HistoryReport
    profiles: Mapping[str, Profile]
    leases: Mapping[str, Lease]
    progress: Progress
    closed_before_ms: int = 0

    def find(self, profiles: Sequence[str] | None) -> Iterator[Untold]:
        """Walk, yield the trades whose row can be made, list the others, and sum up the plan."""
        self.closed_before_ms = self.app.clock.now_ms() - self.app.backfill.policy.grace_ms
        spelling, digest, number = SpellingOf(self.app), 0, 0
        told = {name: self._told_otherwise(name) for name in self.profiles}
        with self.app.lifecycle.reading(profiles) as reading:
            if HISTORY not in reading.parts:
                raise Refused(
                    "The ledger has no table trade_history that trueup can write.", "Its history is left to the bot."
                )
            for walked, trade in enumerate(reading.suspects()):
                if walked % 500 == 0:
                    self.progress("walking the trades", walked)
                if trade.too_many or not trade.orders:
                    continue
                for found in untold(trade.trade_id, trade.orders, trade.history, spelling, self.closed_before_ms):
                    nameless, alone = told.get(found.profile_id, ([], []))
                    item = unless_told(found, nameless, alone, spelling(found.profile_id))
                    if profiles is not None and item.profile_id not in profiles:
                        continue
                    if item.profile_id not in self.profiles:
                        self.report.leave(Untold(item.profile_id, item.trade_id, NotTold.NO_SUCH_PROFILE))
                    elif item.why is not None:
                        self.report.leave(item)
                    else:
                        named = json.dumps([item.profile_id, item.trade_id]).encode()
                        digest, number = digest + int.from_bytes(sha256(named).digest(), "big"), number + 1
                        yield item
        # A sum does not depend on the order in which the database yields the trades.
        self.report.plan_hash = sha256(f"{number}:{digest}".encode()).hexdigest()

    def _told_otherwise(self, name: str) -> tuple[list[str | None], list[ToldAlone]]:
        """Return what history rows of a profile tell of, under another trade's id or none."""
        with self.app.lifecycle.reading([name]) as reading:
            return reading.told_of_none(), list(reading.told_alone())

    def write(self, named: Iterator[list[str]]) -> None:
        """Add the rows, some trades of one profile a transaction; a dry run makes the same ones and takes them back."""
        if self.report.dry_run and not self.app.ledger.writable:
            for owner, trade in named:
                self._count(owner, [trade])
            return
        waiting: dict[str, list[str]] = {}
        batch_id = self.app.clock.new_id("HIST")
        for owner, trade in named:
            mine = waiting.setdefault(owner, [])
            mine.append(trade)
            if len(mine) >= TRADES_AT_ONCE:
                self._add(batch_id, owner, waiting.pop(owner))
        for owner, rest in waiting.items():
            self._add(batch_id, owner, rest)

    def _add(self, batch_id: str, owner: str, trades: Sequence[str]) -> None:
        self.progress("writing history rows", self.report.added.total())
        batch = HistoryBatch(
            batch_id=batch_id,
            lease=self.leases[owner],
            profile=self.profiles[owner],
            symbols=self._symbols(owner),
            trades=tuple(trades),
            closed_before_ms=self.closed_before_ms,
            actor=self.app.actor,
            plan_hash=self.report.plan_hash,
            now=iso(self.app.clock.now_ms()),
        )
        result = self.app.lifecycle.add_histories(batch, rehearse=self.report.dry_run)
        if result.changed and not self.report.dry_run:
            self.report.batch_id = batch_id
        gone = set(result.stale)
        self._count(owner, [trade for trade in trades if trade not in gone])
        for trade in result.stale:
            self.report.leave(Untold(owner, trade, NotTold.CHANGED_MEANWHILE))

    def _count(self, owner: str, trades: Sequence[str]) -> None:
        self.report.added[owner] += len(trades)
        room = LISTED - len(self.report.trades)
        self.report.trades += [(owner, trade) for trade in trades[:room]]

    def _symbols(self, owner: str) -> Symbols:
        return self.app.account_of(self.profiles[owner]).symbols


def remove_histories(
    app: App,
    batch_id: str,
    reason: str,
    wait_seconds: float = 0.0,
    progress: Progress = silent,
    *,
    dry_run: bool = False,
) -> Reverted:
    """Delete the history rows that a batch added; what was taken back stays so. Refused where a row changed since."""
    if not dry_run:
        require_reason(reason)
    rows = [row for row in app.journal.audit_rows(batch_id) if row["decision"] == AuditDecision.HISTORY_ADDED]
    if not rows:
        raise UnknownName(f"No batch {batch_id!r} added history rows.", "`trueup backfill list` names the batches.")
    active = [row for row in rows if row["reverted_at"] is None]
    owners = sorted({str(row["profile_id"]) for row in active})
    changed = 0
    with ExitStack() as stack:
        leases = hold(app, choose_profiles(app, owners), stack, wait_seconds) if owners else {}
        for part in _parts(active):
            progress(f"taking back {batch_id}", changed, len(active))
            request = IdRevert(
                batch_id, leases[str(part[0]["profile_id"])], tuple(part), app.actor, reason.strip(),
                iso(app.clock.now_ms()),
            )  # fmt: skip
            result = app.lifecycle.remove_histories(request, rehearse=dry_run)
            if result.stale:
                raise Refused(
                    f"Batch {batch_id} is not taken back further: {HISTORY} row {result.stale[0]} changed since, or is"
                    f" gone; {changed} rows were taken back.",
                    "A row that a later repair wrote anew follows the orders; leave it, or delete it by hand.",
                )
            changed += result.changed
    return Reverted(batch_id, changed, len(rows) - len(active), 0, dry_run)


def _parts(rows: Sequence[AuditRow]) -> Iterator[list[AuditRow]]:
    """Yield audit rows of one profile, some hundred at a time."""
    by_owner: dict[str, list[AuditRow]] = {}
    for row in rows:
        by_owner.setdefault(str(row["profile_id"]), []).append(row)
    for mine in by_owner.values():
        for start in range(0, len(mine), TRADES_AT_ONCE):
            yield mine[start : start + TRADES_AT_ONCE]
