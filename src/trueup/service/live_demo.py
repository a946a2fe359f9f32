"""The main job on a venue that answers over HTTP, told step by step, and held against what really happened there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trueup.core.decimals import plain
from trueup.core.repair.rows import ExitRow
from trueup.core.world import LiveWorld
from trueup.service.app import App
from trueup.service.audit import verify_audit
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.backfill_report import BackfillReport
from trueup.service.check import run_check
from trueup.service.demo_folder import lay_down
from trueup.service.modes import set_mode
from trueup.service.setup import initialise
from trueup.service.tour import Tour, Unexpected, must
from trueup.service.undo import reapply, revert


@dataclass(slots=True)
class _Tour(Tour):
    world: LiveWorld


def run_live_demo(
    open_app: Callable[[Path], App], world: LiveWorld, folder: Path, say: Callable[[str], None], program: str = "trueup"
) -> int:
    """Set a made-up bot up in a folder and do the main job at its venue, telling each step; 0 if all went as told."""
    prepare(open_app, world, folder)
    tour = _Tour(open_app(folder), say, world)
    say(f"{world.about} The bot's folder: {folder}")
    try:
        _check(tour)
        plan = _dry_run(tour)
        report = _apply(tour, plan)
        _undo(tour, report)
        _end(tour)
    except Unexpected as error:
        say("")
        say("It did not go as it should. This is a defect of trueup:")
        say(f"   {error}")
        return 1
    say("")
    say(f"The exchange of this demonstration is gone now, and {folder} has nothing to ask. To go on by hand:")
    say(f"   {program} sim serve --venue {world.kind}")
    say("It serves the same week until Ctrl-C, and says what to type in another terminal.")
    return 0


def prepare(open_app: Callable[[Path], App], world: LiveWorld, folder: Path) -> None:
    """Lay a made-up bot down in a folder: its settings, and its ledger with what it wrote into it."""
    lay_down(folder, world)
    app = open_app(folder)
    initialise(app)
    if world.orders:
        app.setup.add_orders(world.orders)
    app.close()


def _check(tour: _Tour) -> None:
    tour.step("Does the ledger agree with the venue?", "trueup check")
    report = run_check(tour.app)
    for found in report.breaks:
        tour.tell(f"{found.kind.value:<18}{found.symbol:<16}{found.trade_id or '':<14}{found.detail}")
    named = {found.trade_id for found in report.breaks if found.exchange_order_id}
    tour.tell("", f"Nothing was changed. The answer is {report.status} (exit code {report.exit_code}).")
    must(report.exit_code == 1, f"the check ended with {report.exit_code}")
    must(named == set(tour.world.missing), f"executions of {sorted(map(str, named))} were found")


def _dry_run(tour: _Tour) -> str:
    tour.step("Pause trading, and see what would be booked", "trueup backfill run --dry-run")
    set_mode(tour.app, "SAFE_MODE", "global", "a trial")
    report = run_backfill(tour.app, BackfillRequest(apply=False))
    for entry in report.profiles.values():
        must(entry.error is None, f"{entry.profile.profile_id}: {entry.error}")
        for row in entry.plan.rows if entry.plan else ():
            tour.tell(
                f"{row.trade_id:<14}{row.side.value:<5}{plain(row.qty):>12} {_price(row)},"
                f" order {row.exchange_order_id} by {row.matched_by}"
            )
    tour.tell("", f"Plan hash {report.plan_hash}")
    proposed = {row.trade_id for entry in report.profiles.values() if entry.plan for row in entry.plan.rows}
    must(set(tour.world.missing) <= proposed, f"not proposed: {sorted(set(tour.world.missing) - proposed)}")
    must(not proposed & set(tour.world.still_open), "the exit of a trade that is open at the venue is proposed")
    return report.plan_hash


def _price(row: ExitRow) -> str:
    return f"at {plain(row.price)}" if row.price_source != "none" else "without a price"


def _apply(tour: _Tour, plan: str) -> BackfillReport:
    tour.step("Apply exactly this plan", "trueup backfill run --apply --plan HASH")
    report = run_backfill(tour.app, BackfillRequest(apply=True, plan=plan))
    for entry in report.profiles.values():
        must(entry.error is None, f"{entry.profile.profile_id}: {entry.error}")
        good = entry.validation is not None and not entry.validation.unexpected
        must(good, f"{entry.profile.profile_id}: the post-fix validation failed")
        tour.tell(f"{entry.profile.profile_id:<8}{len(entry.inserted)} rows booked, batch {entry.batch_id}")
    second = run_backfill(tour.app, BackfillRequest(apply=True))
    again = sum(len(entry.inserted) for entry in second.profiles.values())
    must(again == 0, f"a second pass booked {again} rows")
    tour.tell("A second pass books nothing.")
    return report


def _undo(tour: _Tour, report: BackfillReport) -> None:
    batch = next(str(entry.batch_id) for entry in report.profiles.values() if entry.inserted)
    tour.step("Take a batch back, and put it in force again", f"trueup backfill revert {batch} --reason TEXT")
    back, forth = revert(tour.app, batch, "a trial"), reapply(tour.app, batch, "a trial")
    must(len(back.changed) == len(forth.changed) > 0, "what was taken back was not put back")
    tour.tell(f"{len(back.changed)} rows canceled, and filled again; both stand in the audit.")


def _end(tour: _Tour) -> None:
    tour.step("And now?", "trueup check && trueup audit verify")
    report, found = run_check(tour.app), verify_audit(tour.app)
    must(found.ok, f"the audit is broken at {found.broken_seq}: {found.reason}")
    left = {found.trade_id for found in report.breaks}
    must(not left & set(tour.world.missing), f"still broken: {sorted(map(str, left))}")
    tour.tell(
        f"{report.status}: {len(report.breaks)} breaks; {len(tour.world.still_open)} trades are open, as at the venue."
    )
    tour.tell(f"The audit is whole: {found.rows} rows.")
