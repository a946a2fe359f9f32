"""The demonstration: a bot's week is laid down, and the main job is done on it with the real use cases.

Each step says what it saw, and compares it with what the week's story says must be seen: a demonstration that went
otherwise than it tells ends with 1.
"""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from trueup.core.breaks import BreakKind
from trueup.core.decimals import plain
from trueup.core.repair.decisions import ALREADY_EXISTS, REVERTED_BY_OPERATOR, Decision, Outcome
from trueup.core.repair.rows import DUST
from trueup.core.world import Story, World
from trueup.service.app import App
from trueup.service.audit import verify_audit
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.backfill_report import BackfillReport
from trueup.service.check import CheckReport, run_check
from trueup.service.demo_folder import lay_down
from trueup.service.gates import PAUSE_REQUIRED
from trueup.service.modes import set_mode
from trueup.service.setup import initialise
from trueup.service.tour import Tour, Unexpected, must
from trueup.service.undo import reapply, revert

_POSITIONS = frozenset({BreakKind.GHOST_POSITION, BreakKind.UNBOOKED_POSITION, BreakKind.SIDE_FLIP})
_BOOK = Outcome.BOOK.value

YOUR_OWN_BOT = """\
Your own bot: name its database and an export of its venue in a trueup.toml
(the README shows one), then run in the same folder

   trueup init      lay down trueup's tables; nothing of yours is altered
   trueup doctor    check the whole set-up
   trueup check     compare your ledger with the venue; nothing is changed"""


@dataclass(slots=True)
class _Tour(Tour):
    """The demonstration on its way."""

    world: World
    folder: Path


def run_demo(
    open_app: Callable[[Path], App], world: World, folder: Path, say: Callable[[str], None], program: str = "trueup"
) -> int:
    """Set a made-up world up in a folder and do the main job on it, telling each step; 0 if all went as told.

    `program` is how a shell finds trueup, for the commands that the reader is told to type.
    """
    lay_down(folder, world)
    tour = _Tour(open_app(folder), say, world, folder)
    try:
        _set_up(tour)
        before = _check(tour)
        _pause(tour)
        plan = _dry_run(tour)
        batches = _apply(tour, plan)
        _again(tour, plan)
        _take_back(tour, batches[world.revert_profile])
        _put_back(tour, batches[world.revert_profile])
        _verify(tour)
        _check_again(tour, before)
    except Unexpected as error:
        say("")
        say("The demonstration did not go as it should. This is a defect of trueup:")
        say(f"   {error}")
        return 1
    _farewell(tour, program)
    return 0


def _set_up(tour: _Tour) -> None:
    made = initialise(tour.app)
    tour.app.setup.add_orders(tour.world.orders)
    trades = {(row["profile_id"], row["trade_id"]) for row in tour.world.orders}
    tour.say(f"A bot's week, in {tour.folder}{'' if str(tour.folder).endswith('/') else '/'}")
    tour.say("")
    tour.tell(
        *tour.world.about.splitlines(),
        "",
        f"The ledger (SQLite): {len(trades)} trades in {len(tour.world.orders)} order rows.",
        "The venues' exports:",
        *(f"   {file.name}" for file in tour.world.files),
    )
    must(len(made.profiles) == len(tour.app.configured), "init did not add every profile")


def _check(tour: _Tour) -> CheckReport:
    tour.step("Does the ledger agree with the venues?", "trueup check")
    report = run_check(tour.app)
    tour.tell(f"{'':<19}{'symbol':<10}{'ledger':>9}{'venue':>10}   in trade")
    for found in report.breaks:
        if found.kind in _POSITIONS:
            ledger, venue = (plain(qty) if qty is not None else "?" for qty in (found.ledger, found.venue))
            named = found.trade_id or found.detail.partition(", in ")[2] or "none"
            tour.tell(f"{found.kind.value:<19}{found.symbol:<10}{ledger:>9}{venue:>10}   {named}")
    missing = [found for found in report.breaks if found.kind is BreakKind.MISSING_IN_DB]
    tour.tell("", f"{len(missing)} executions at the venues could explain them; the ledger has none.")
    _tell_unknown(tour, report)
    tour.tell("", f"Nothing was changed. The answer is {report.status} (exit code {report.exit_code}).")
    must(report.exit_code == 3, "the check did not notice what cannot be known")
    must(bool(missing), "the check found no evidence")
    return report


def _tell_unknown(tour: _Tour, report: CheckReport) -> None:
    unknown = [entry for account in report.accounts for entry in account.unknown]
    tour.tell("", "What it cannot know, it says, and takes for neither flat nor right:")
    for what, why in unknown:
        tour.tell(f"   {what}: {why}")


def _pause(tour: _Tour) -> None:
    reason = "ghosts in the ledger"
    tour.step("Pause trading, so that nothing moves while the books are mended", "trueup mode set SAFE_MODE "
              f'--scope global --reason "{reason}"')  # fmt: skip
    refused = run_backfill(tour.app, BackfillRequest(apply=False))
    must(
        all(entry.skipped_reason == PAUSE_REQUIRED for entry in refused.profiles.values()),
        "the backfill ran although trading was not paused",
    )
    change = set_mode(tour.app, "SAFE_MODE", "global", reason)
    tour.tell(
        f"Before it: the backfill refused to run ({PAUSE_REQUIRED}).",
        f"Now: {change.scope} went from {change.previous.name} to {change.mode.name}.",
    )


def _dry_run(tour: _Tour) -> str:
    tour.step("Dry run: what would be booked, what not, and why", "trueup backfill run --dry-run")
    report = run_backfill(tour.app, BackfillRequest(apply=False))
    decisions = _decisions(report)
    for profile in report.profiles:
        tour.tell(f"{profile}:")
        for story in tour.world.stories:
            if story.profile_id == profile:
                _tell_story(tour, story, decisions.pop((profile, story.trade_id), []))
        tour.tell("")
    must(not decisions, f"decisions about trades of no story: {sorted(decisions)}")
    summary = report.summary()
    there = sum(outcome == (_BOOK, ALREADY_EXISTS) for story in tour.world.stories for outcome in story.outcomes)
    tour.tell(
        f"{summary['open_trade_candidates']} open trades; {summary['proposed_rows']} rows proposed,"
        f" {there} of them in the ledger already.",
        "Nothing was booked. The plan's hash:",
        report.plan_hash,
    )
    return report.plan_hash


def _decisions(report: BackfillReport) -> dict[tuple[str, str], list[Decision]]:
    decisions: dict[tuple[str, str], list[Decision]] = {}
    for profile, entry in report.profiles.items():
        for decision in entry.plan.decisions if entry.plan else ():
            decisions.setdefault((profile, decision.trade.trade_id), []).append(decision)
    return decisions


def _tell_story(tour: _Tour, story: Story, decisions: list[Decision]) -> None:
    """Say what happened to a trade and what is decided, which must be what the story says."""
    found = tuple((d.outcome.value, _reason(d)) for d in decisions)
    must(found == story.outcomes, f"{story.trade_id}: decided {found}, expected {story.outcomes}")
    tour.tell(f"{story.trade_id:<12}{story.happened}")
    for decision in decisions:
        tour.tell(f"{'':<12}{_told(decision)}")


def _reason(decision: Decision) -> str:
    booked = decision.outcome is Outcome.BOOK and decision.reason != ALREADY_EXISTS
    return decision.exit.matched_by if booked and decision.exit is not None else decision.reason


def _told(decision: Decision) -> str:
    row = decision.exit
    if row is None or decision.outcome is not Outcome.BOOK or decision.reason == ALREADY_EXISTS:
        outcome = "nothing to insert" if decision.reason == ALREADY_EXISTS else decision.outcome.value
        return f"{outcome}  {decision.reason}"
    if row.matched_by == DUST:
        return f"book {row.side.value} {plain(row.qty)} as dust: the venue is flat"
    return f"book {row.side.value} {plain(row.qty)} at {plain(row.price)}, proven by {row.matched_by}"


def _apply(tour: _Tour, plan: str) -> dict[str, str]:
    tour.step("Apply exactly this plan", "trueup backfill run --apply --plan HASH")
    report = run_backfill(tour.app, BackfillRequest(apply=True, plan=plan))
    batches: dict[str, str] = {}
    for profile, entry in report.profiles.items():
        must(entry.error is None and entry.batch_id is not None, f"{profile} was not applied: {entry.error}")
        batches[profile] = str(entry.batch_id)
        tour.tell(f"{profile:<7}{len(entry.inserted)} rows inserted, batch {entry.batch_id}")
        _validate(tour, profile, report)
    proposed = sum(_booked(story) for story in tour.world.stories)
    inserted = sum(len(entry.inserted) for entry in report.profiles.values())
    must(inserted == proposed, f"{inserted} rows were inserted, {proposed} expected")
    open_now = [trade for trade in tour.world.stories if not _closes(trade)]
    closed = len(tour.world.stories) - len(open_now)
    tour.tell(
        "",
        f"Post-fix validation: each repaired trade is as the plan said. {closed} trades are",
        f"closed now; {len(open_now)} stay open, each for the reason that the dry run named.",
        "Every inserted row cites the exchange order that proves it, or says dust.",
    )
    return batches


def _booked(story: Story) -> int:
    return sum(outcome == _BOOK and reason != ALREADY_EXISTS for outcome, reason in story.outcomes)


def _closes(story: Story) -> bool:
    return _booked(story) == len(story.outcomes)


def _validate(tour: _Tour, profile: str, report: BackfillReport) -> None:
    """Compare the post-fix validation, and the rows themselves, with the story."""
    entry = report.profiles[profile]
    found = entry.validation
    must(found is not None and not found.unexpected, f"{profile}: the post-fix validation failed")
    still_open = {trade for trade, _ in found.still_open} if found is not None else set()
    stay = {story.trade_id for story in tour.world.stories if story.profile_id == profile and not _closes(story)}
    unreadable = {trade for trade in stay if _unreadable(tour.world, trade)}
    must(still_open == stay - unreadable, f"{profile}: open are {sorted(still_open)}, expected {sorted(stay)}")
    _cited(tour, profile, report)


def _cited(tour: _Tour, profile: str, report: BackfillReport) -> None:
    """See that each inserted row is in the ledger and cites what the plan said proves it."""
    entry = report.profiles[profile]
    planned = {row.order_id: row for row in entry.plan.rows} if entry.plan else {}
    trades = {planned[order_id].trade_id for order_id in entry.inserted}
    there = {row.order_id: row for trade in trades for row in tour.app.ledger.trade_rows(trade, [profile])}
    for order_id in entry.inserted:
        row, plan = there.get(order_id), planned[order_id]
        as_planned = row is not None and (row.exchange_order_id, row.qty) == (plan.exchange_order_id, plan.qty)
        must(as_planned, f"{profile}: the row {order_id} is not in the ledger as planned")


def _unreadable(world: World, trade_id: str) -> bool:
    return any(row["trade_id"] == trade_id and row["qty"] != row["quantity"] for row in world.orders)


def _again(tour: _Tour, plan: str) -> None:
    tour.step("The same once more: a second pass must change nothing", "trueup backfill run --apply")
    report = run_backfill(tour.app, BackfillRequest(apply=True))
    inserted = sum(len(entry.inserted) for entry in report.profiles.values())
    must(inserted == 0, f"a second pass inserted {inserted} rows")
    stale = run_backfill(tour.app, BackfillRequest(apply=True, plan=plan))
    must(stale.plan_expected == plan, "a plan that is not the plan any more was applied")
    tour.tell("0 rows inserted. The plan from before is refused: the books have changed.")


def _take_back(tour: _Tour, batch: str) -> None:
    profile = tour.world.revert_profile
    tour.step(f"Take {profile}'s batch back", f'trueup backfill revert {batch} --reason "demo"')
    result = revert(tour.app, batch, "demo")
    twice = revert(tour.app, batch, "demo")
    must(bool(result.changed) and not twice.changed, "revert is not idempotent")
    report = run_backfill(tour.app, BackfillRequest(profiles=(profile,), apply=False))
    entry = report.profiles[profile]
    taken = [row for row in entry.unresolved if row["reason"] == REVERTED_BY_OPERATOR]
    must(len(taken) == len(result.changed), f"{len(taken)} rows are {REVERTED_BY_OPERATOR}")
    must(entry.plan is not None and not entry.plan.rows, "a row that was taken back is proposed again")
    tour.tell(
        f"{len(result.changed)} rows are canceled; none is deleted. A dry run now shows them as",
        f"NO_GO {REVERTED_BY_OPERATOR}: what a person took back stays back.",
    )


def _put_back(tour: _Tour, batch: str) -> None:
    tour.step("Put it in force again", f'trueup backfill reapply {batch} --reason "demo"')
    result = reapply(tour.app, batch, "demo")
    twice = reapply(tour.app, batch, "demo")
    must(bool(result.changed) and not twice.changed, "reapply is not idempotent")
    tour.tell(f"{len(result.changed)} rows are filled again, and both steps stand in the audit.")


def _verify(tour: _Tour) -> None:
    tour.step("Is the audit whole?", "trueup audit verify")
    found = verify_audit(tour.app)
    must(found.ok, f"the audit is broken at {found.broken_seq}: {found.reason}")
    tour.tell(f"{found.rows} rows, each bound to the one before by its hash. Head:", found.head)


def _check_again(tour: _Tour, before: CheckReport) -> None:
    tour.step("And the ledger now?", "trueup check")
    report = run_check(tour.app)
    settled = {story.trade_id for story in tour.world.stories if _closes(story)}
    left = {found.trade_id for found in report.breaks}
    must(not settled & left, f"still broken: {sorted(settled & left - {None})}")
    must(len(report.breaks) < len(before.breaks), "the repair mended nothing")
    tour.tell(f"{len(before.breaks)} breaks before, {len(report.breaks)} now. Still open in the ledger, and why:")
    tour.tell(*_reasons(tour.world.stories))
    tour.tell(
        "",
        f"The answer stays {report.status} while rows cannot be read. Trading stays",
        "paused: only a person may say that what is left does no harm.",
    )


def _reasons(stories: Iterable[Story]) -> list[str]:
    left = [(story.trade_id, story.outcomes[-1][1].partition(":")[0]) for story in stories if not _closes(story)]
    return [f"   {trade:<12}{reason}" for trade, reason in left]


def _farewell(tour: _Tour, program: str) -> None:
    tour.say("")
    tour.say("Look around, for example with")
    tour.say("")
    tour.tell(f"cd {shlex.quote(str(tour.folder))}")
    for words in (f"explain {tour.world.stories[0].trade_id}", "backfill list", "audit export"):
        tour.tell(f"{program} {words}")
    tour.say("")
    for line in YOUR_OWN_BOT.splitlines():
        tour.say(line)
