"""Runs on record: whatever happens to a run that began, the database says how it ended.

Invariant 13 (Said): a run that was broken off ends as INCONCLUSIVE with the reason; one that was killed, and so could
not say anything any more, is ended by the run after it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from trueup.core.errors import TrueupError
from trueup.service import events
from trueup.service.app import App
from trueup.service.backfill_report import INCONCLUSIVE, BackfillReport

KIND = "backfill"
KILLED = "the program was killed, or stopped with its machine, before the run ended"


@contextmanager
def recorded(app: App, scope: str, report: BackfillReport) -> Iterator[None]:
    """Record a run of the backfill around what it does: its begin, and how it ended, whatever is raised."""
    report.left_unended = end_the_killed(app)
    report.run_id = app.clock.new_id("RUN")
    app.journal.begin_run(report.run_id, KIND, scope)
    with events.within(run_id=report.run_id):
        events.log("run_started", kind=KIND, scope=scope)
        try:
            yield
        except BaseException as error:
            _end_broken(app, report, error)
            events.log("run_failed", kind=KIND, scope=scope, error=told(error))
            raise
        try:
            app.journal.end_run(report.run_id, report.status, report.summary())
        except TrueupError as error:
            # What the run did is done: its report must not be lost for want of this record.
            report.unrecorded = error
        _tell(report, scope)


def _tell(report: BackfillReport, scope: str) -> None:
    entries = report.profiles.values()
    events.log(
        "run_ended", kind=KIND, scope=scope, status=report.status,
        found=sum(entry.plan.candidates for entry in entries if entry.plan),
        healed=sum(len(entry.inserted) for entry in entries),
        unresolved=sum(len(entry.unresolved_reasons) for entry in entries),
    )  # fmt: skip


def end_the_killed(app: App) -> list[str]:
    """End the runs that cannot end themselves any more, and return their ids."""
    killed = [run.run_id for run in app.journal.unended_runs() if run.gone]
    for run_id in killed:
        app.journal.end_run(run_id, INCONCLUSIVE, {"status": INCONCLUSIVE, "run_id": run_id, "error": KILLED})
        events.log("run_left_behind", left_run_id=run_id)
    return killed


def _end_broken(app: App, report: BackfillReport, error: BaseException) -> None:
    summary = {**report.summary(), "status": INCONCLUSIVE, "error": told(error)}
    try:
        app.journal.end_run(str(report.run_id), INCONCLUSIVE, summary)
    except TrueupError as worse:
        error.add_note(f"The run {report.run_id} could not be ended on record: {worse.what} The next run ends it.")


def told(error: BaseException) -> str:
    """Return what was raised, in words: an unexpected error with its name."""
    return str(error) if isinstance(error, TrueupError) else f"{type(error).__name__}: {error}".rstrip(": ")
