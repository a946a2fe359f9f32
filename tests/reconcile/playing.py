"""Playing a history: cycle by cycle under faults, then in calm, and judged throughout."""

from collections import Counter
from dataclasses import dataclass, field

from tests.reconcile.histories import History, a_history
from tests.reconcile.places import Books, SqlBooks
from tests.reconcile.truth import Judge

from trueup.core.errors import TrueupError
from trueup.service.audit import verify_audit
from trueup.service.cycle import ReconcileRequest
from trueup.service.reconcile import run_reconcile
from trueup.service.reconcile_report import ReconcileReport
from trueup.service.undo import revert

SETTLED_AFTER = 5
"""Confirmations and two; ghosts of one symbol are confirmed one after the other."""

LONGEST = 3 * SETTLED_AFTER


@dataclass
class Outcome:
    """What became of one history."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def well(self) -> bool:
        return not self.wrong and not self.left

    def __str__(self) -> str:
        return f"seed {self.seed}: " + "; ".join([f"WRONG {w}" for w in self.wrong] + self.left)


def play(seed: int, books: Books, *, take_back: bool = False) -> Outcome:
    """Play the history of a seed to its end."""
    history = a_history(seed, books)
    judge, outcome = Judge(history), Outcome(seed)
    outcome.wrong, outcome.left = judge.wrong, judge.left
    for _ in range(history.steps):
        history.step()
        _cycle(history, judge, outcome)
    history.calm()
    unclear = judge.unclear_keys(books.rows())
    for number in range(LONGEST):
        if number >= SETTLED_AFTER and "waiting" not in _states(books).values():
            break
        history.wait()
        report = _cycle(history, judge, outcome)
    judge.at_rest(books.rows(), unclear, report)
    _once_more(history, judge, outcome)
    if isinstance(books, SqlBooks) and not (found := verify_audit(history.app)).ok:
        judge.wrong.append(f"the audit is broken: {found}")
    outcome.counts["histories"] += 1
    outcome.counts["wholly healable"] += not unclear
    outcome.counts["orders"] += len(history.intents)
    outcome.counts["slips"] += sum(len(intent.slips) for intent in history.intents)
    if take_back and isinstance(books, SqlBooks):
        _take_back(history, books, outcome)
    return outcome


def _cycle(history: History, judge: Judge, outcome: Outcome) -> ReconcileReport:
    before = history.books.rows()
    report = run_reconcile(history.app, ReconcileRequest())
    judge.after_run(before, history.books.rows())
    outcome.counts["cycles"] += 1
    outcome.counts["heals"] += sum(run.counts()["healed"] for run in report.runs)
    for run in report.runs:
        if run.error is not None and not any(venue.fault for venue in history.venues.values()):
            judge.wrong.append(f"cycle {history.cycle}: {run.profile_id}: {run.error}")
    return report


def _once_more(history: History, judge: Judge, outcome: Outcome) -> None:
    """A run over an unchanged world changes nothing."""
    books = history.books
    before = books.rows(), books.audit(), _states(books)
    history.wait()
    _cycle(history, judge, outcome)
    after = books.rows(), books.audit(), _states(books)
    for what, old, new in zip(("rows", "audit", "breaks"), before, after, strict=True):
        if old != new:
            judge.left.append(f"one more run changed the {what}: {old} {new}")


def _states(books: Books) -> dict[str, str]:
    return {each["break_id"]: each["state"] for each in books.breaks()}


def _take_back(history: History, books: SqlBooks, outcome: Outcome) -> None:
    """Take every run's heals back, the newest first: the ledger says again what the bot wrote."""
    batches = [row[0] for row in books.hands.execute(
        "SELECT batch_id FROM reconciliation_backfill_audit GROUP BY batch_id ORDER BY max(seq) DESC"
    )]  # fmt: skip
    refused = 0
    for batch in batches:
        try:
            revert(history.app, batch, "test")
        except TrueupError:
            refused += 1
    outcome.counts["reverts"] += len(batches) - refused
    outcome.counts["reverts refused"] += refused
    if refused:
        return
    said = {bot_row["order_id"]: bot_row["status"] for bot_row in books.written.values()}
    now = {name: raw["status"] for name, raw in books.rows().items()}
    for name, status in now.items():
        if name in said and said[name] != status:
            outcome.wrong.append(f"taken back, {name} is {status}, and the bot wrote {said[name]}")
        if name not in said and status != "canceled":
            outcome.wrong.append(f"taken back, {name} is {status}")
