"""An apply that fails is closed in the audit at once, and the report says what the audit says."""

from typing import Any

import pytest
from tests.ledger.bot import Bot, decisions, only, pause, row, run, sold
from tests.service.test_gates import before

from trueup.core.audit import verify
from trueup.core.errors import CannotKnow
from trueup.core.modes import Mode
from trueup.service.app import App


@pytest.fixture
def app(bot: Bot) -> App:
    made = bot.ready(row("TRD-1"), row("TRD-2", "2", 1))
    bot.sells(sold("X1", trade_id="TRD-1"))
    return made


def closing(app: App) -> list[tuple[object, object]]:
    rows = list(app.journal.audit_rows())
    assert verify(rows).ok
    return [(found["decision"], found["reason"]) for found in rows if found["trade_id"] == "TRD-1"]


FAILURES = {
    "the pause ended": (lambda bot, app: pause(app, Mode.NORMAL), "apply_refused", "pause ended"),
    "the lease was lost": (
        lambda bot, app: bot.db.run("UPDATE leases SET fence = fence + 1"), "apply_refused", "taken over",
    ),
    "the table takes no such row": (
        lambda bot, app: bot.db.run("CREATE UNIQUE INDEX one_each ON orders (profile_id, source)"
                                    if bot.db.is_sqlite else
                                    "ALTER TABLE orders ADD CONSTRAINT none CHECK (action <> 'EXIT')"),
        "apply_failed", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_apply_is_closed_at_once_with_the_reason(
    bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    if failure.startswith("the table") and bot.db.is_sqlite:
        bot.db.run("DELETE FROM orders WHERE trade_id = 'TRD-2'")
    fail, reason, said = FAILURES[failure]
    before(monkeypatch, app, lambda: fail(bot, app))
    [entry] = run(app, apply=True).profiles.values()
    assert entry.error is not None
    assert said in str(entry.error)
    assert entry.inserted == []
    assert closing(app) == [("PENDING_APPLY", "eligible"), ("INTERRUPTED", reason)]
    assert [d for d in decisions(entry) if d[0] == "TRD-1"] == [("TRD-1", "INTERRUPTED", reason)]
    assert app.journal.interrupted(["p1"]) == []
    assert app.journal.batches()[0].state == "interrupted"
    last = [found for found in app.journal.audit_rows() if found["decision"] == "INTERRUPTED"][-1]
    assert str(entry.error).splitlines()[0][:20] in str(last["metadata"])


def test_ctrl_c_during_the_repair_is_closed_too(bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    before(monkeypatch, app, stop)
    with pytest.raises(KeyboardInterrupt):
        run(app, apply=True)
    assert closing(app)[-1] == ("INTERRUPTED", "apply_failed")
    assert len(only(run(app, apply=True)).inserted) == 1


def test_a_commit_whose_answer_was_lost_is_reported_as_booked(
    bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = type(app.ledger).book

    def and_lose_the_answer(self: Any, batch: Any, *, rehearse: bool) -> Any:
        book(self, batch, rehearse=rehearse)
        raise CannotKnow("the connection was lost")

    monkeypatch.setattr(type(app.ledger), "book", and_lose_the_answer)
    [entry] = run(app, apply=True).profiles.values()
    assert entry.error is not None
    assert len(entry.inserted) == 1
    assert closing(app) == [("PENDING_APPLY", "eligible"), ("APPLIED", "inserted")]


def test_where_the_database_does_not_answer_the_next_run_closes(
    bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise CannotKnow("the database is gone")

    before(monkeypatch, app, lambda: pause(app, Mode.NORMAL))
    monkeypatch.setattr(type(app.journal), "close_batch", gone)
    [entry] = run(app, apply=True).profiles.values()
    assert "pause ended" in str(entry.error)
    assert "The next run closes it" in "".join(getattr(entry.error, "__notes__", ()))
    pause(app)
    monkeypatch.undo()
    entry = only(run(app, apply=True))
    assert sum(entry.interrupted.values()) == 1
    assert ("INTERRUPTED", "interrupted") in closing(app)


def test_a_refused_plan_says_what_would_stay_unresolved(bot: Bot, app: App) -> None:
    report = run(app, apply=True, plan="0" * 64)
    assert report.summary()["unresolved"] == {"missing_fill_evidence_for_large_remainder": 1}
    assert report.summary()["plan_refused"] is True
    assert list(app.journal.audit_rows()) == []
