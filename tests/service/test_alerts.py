"""The outbox on both databases: told once, at least once, by one process at a time, and lost by no crash."""

import json
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.ledger.bot import Bot, pause, row, run
from tests.notify.receiver import Receiver, receiving

from trueup.core.alerts import Severity
from trueup.core.errors import ConfigurationError
from trueup.ledger import schema
from trueup.notify.targets import AppriseNotifier
from trueup.ports import Message
from trueup.service.alerts import (
    CLAIM_MS,
    deliver_alerts,
    message_of,
    prune_alerts,
    raise_alert,
    require_notifier,
    resolve_alert,
)
from trueup.service.app import App

THROTTLE = 300_000


class Clock:
    """A clock that a test sets."""

    def __init__(self, app: App) -> None:
        self.now = 1_767_322_800_000
        self.new_id = app.clock.new_id

    def now_ms(self) -> int:
        return self.now

    def sleep(self, _: float) -> None:
        raise AssertionError("nothing here waits")


class Carrier:
    """A notifier that keeps what it was sent; `down` names the targets that take nothing."""

    def __init__(self, *targets: str) -> None:
        self.targets = targets or ("one",)
        self.down: set[str] = set()
        self.got: list[tuple[str, str]] = []

    def send(self, message: Message, targets: Collection[str]) -> Mapping[str, str | None]:
        self.got += [(name, message.title) for name in targets if name not in self.down]
        return {name: "it answered 500" if name in self.down else None for name in targets}


@pytest.fixture
def app(bot: Bot) -> App:
    made = bot.init()
    return replace(made, clock=Clock(made))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def later(app: App, ms: int) -> None:
    assert isinstance(app.clock, Clock)
    app.clock.now += ms


def mismatch(app: App, key: str = "B-1", severity: str = "warning") -> None:
    raise_alert(app, "mismatch", key, "profile:p1", severity, f"{key} disagrees")


def titles(carrier: Carrier) -> list[str]:
    return [title.removeprefix("[trueup] ").removesuffix(" mismatch profile:p1") for _, title in carrier.got]


def test_one_mismatch_is_told_once_escalated_once_and_told_to_be_over(bot: Bot, app: App) -> None:
    carrier = Carrier()
    for _ in range(6):
        mismatch(app)
        deliver_alerts(app, carrier)
        later(app, 30_000)
    resolve_alert(app, "B-1", "B-1 agrees again")
    deliver_alerts(app, carrier)
    assert titles(carrier) == ["WARNING", "CRITICAL", "RESOLVED"]
    assert [found["count"] for found in bot.db.rows("SELECT count FROM alerts ORDER BY seq")] == [2, 6, 6]
    assert bot.db.value("SELECT count(*) AS n FROM alerts WHERE sent_at IS NULL") == 0


def test_the_throttle_is_the_flags(app: App) -> None:
    short = replace(app, reconcile=replace(app.reconcile, policy=replace(app.reconcile.policy, alert_throttle_ms=1000)))
    carrier = Carrier()
    for made, times in ((app, 1), (short, 2)):
        carrier.got.clear()
        for _ in range(2):
            mismatch(made, f"key-{times}")
            deliver_alerts(made, carrier)
            later(made, 1000)
        assert len(carrier.got) == times


def test_two_keys_are_two_things(app: App) -> None:
    carrier = Carrier()
    mismatch(app, "B-1")
    mismatch(app, "B-2")
    done = deliver_alerts(app, carrier)
    assert [alert.key for alert in done.delivered] == ["B-1", "B-2"]


def test_messages_say_what_people_need(app: App) -> None:
    for _ in range(3):
        later(app, 30_000)
        mismatch(app)
    [alert] = app.outbox.page(10)
    message = message_of(alert)
    assert message.title == "[trueup] CRITICAL mismatch profile:p1"
    assert message.severity is Severity.CRITICAL
    assert message.body.startswith("B-1 disagrees\nSeen 3 times, last at 2026-01-02T03:01:30.000Z.\nEscalated at ")


def test_what_is_not_delivered_is_tried_again_after_growing_pauses(app: App) -> None:
    carrier = Carrier()
    carrier.down = {"one"}
    mismatch(app)
    tried = []
    for second in range(60):
        if deliver_alerts(app, carrier).undelivered:
            tried.append(second)
        later(app, 1000)
    assert tried == [0, 5, 15, 35]
    carrier.down = set()
    later(app, 60_000)
    [alert] = deliver_alerts(app, carrier).delivered
    assert (alert.attempts, len(carrier.got)) == (5, 1)


def test_a_target_that_has_a_message_does_not_get_it_twice(app: App) -> None:
    carrier = Carrier("up", "down")
    carrier.down = {"down"}
    mismatch(app)
    deliver_alerts(app, carrier)
    [alert] = app.outbox.page(1, pending=True)
    assert json.loads(alert.error or "") == {"done": ["up"], "failed": {"down": "it answered 500"}}
    later(app, 5000)
    carrier.down = set()
    deliver_alerts(app, carrier)
    assert [name for name, _ in carrier.got] == ["up", "down"]
    assert app.outbox.page(1, pending=True) == []


def test_messages_of_one_key_arrive_in_their_order_and_hold_up_no_other(app: App) -> None:
    carrier = Carrier()
    mismatch(app, "B-1")
    carrier.down = {"one"}
    deliver_alerts(app, carrier)
    carrier.down = set()
    resolve_alert(app, "B-1")
    mismatch(app, "B-2")
    assert [alert.key for alert in deliver_alerts(app, carrier).delivered] == ["B-2"]
    later(app, 5000)
    assert [alert.severity for alert in deliver_alerts(app, carrier).delivered] == [Severity.WARNING, Severity.RESOLVED]


def test_nothing_is_lost_in_a_crash_between_sending_and_writing_that_down(bot: Bot, app: App) -> None:
    """At least once: the second process tells it again, but not before the first one must be gone."""
    carrier = Carrier()

    class Killed(BaseException):
        """What ends a process, and no handler catches."""

    def dies(*_: object) -> None:
        raise Killed

    mismatch(app)
    dying = replace(app, outbox=type("Dying", (type(app.outbox),), {"delivered": dies})(bot.store))
    with pytest.raises(Killed):
        deliver_alerts(dying, carrier)
    assert len(carrier.got) == 1
    other = replace(bot.app(), clock=app.clock)
    assert deliver_alerts(other, carrier).delivered == ()
    later(app, CLAIM_MS)
    assert len(deliver_alerts(other, carrier).delivered) == 1
    assert len(carrier.got) == 2


def test_several_at_once_send_each_message_once(bot: Bot, app: App) -> None:
    for number in range(12):
        mismatch(app, f"B-{number}")
    carriers = [Carrier() for _ in range(4)]
    apps = [replace(bot.app(), clock=app.clock) for _ in carriers]

    class Slow(Carrier):
        def send(self, message: Message, targets: Collection[str]) -> Mapping[str, str | None]:
            time.sleep(0.02)
            return super().send(message, targets)

    carriers = [Slow() for _ in range(4)]
    threads = [
        threading.Thread(target=deliver_alerts, args=(made, carrier))
        for made, carrier in zip(apps, carriers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(carrier.got) for carrier in carriers) == 12
    assert sum(bool(carrier.got) for carrier in carriers) > 1
    assert app.outbox.page(20, pending=True) == []


def test_several_that_see_one_thing_at_once_tell_it_once(bot: Bot, app: App) -> None:
    apps = [replace(bot.app(), clock=app.clock) for _ in range(6)]
    threads = [threading.Thread(target=mismatch, args=(made,)) for made in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [alert] = app.outbox.page(10)
    assert alert.count == 6


def test_old_messages_that_were_delivered_are_dropped_and_no_other(app: App) -> None:
    carrier = Carrier()
    mismatch(app, "B-1")
    deliver_alerts(app, carrier)
    carrier.down = {"one"}
    mismatch(app, "B-2")
    deliver_alerts(app, carrier)
    later(app, app.reconcile.runs_kept_days * 86_400_000)
    assert prune_alerts(app) == 0
    later(app, 1)
    assert prune_alerts(app) == 1
    assert [alert.key for alert in app.outbox.page(10)] == ["B-2"]


def test_rows_of_the_first_version_are_delivered_too(bot: Bot, app: App) -> None:
    at = "2026-01-02T03:04:05.000Z"
    bot.db.insert("alerts", [{"kind": "k", "scope": "s", "text": "old", "created_at": at} for _ in range(2)])
    assert len(deliver_alerts(app, Carrier()).delivered) == 2


def test_without_the_table_nothing_is_told_and_nothing_fails(bot: Bot, app: App) -> None:
    bot.db.run("DROP TABLE alerts")
    mismatch(app)
    resolve_alert(app, "B-1")
    assert deliver_alerts(app, Carrier()).delivered == ()
    assert app.outbox.page(5) == []


def test_the_missing_audit_is_told_once_and_that_it_is_back(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.db.run(f"DROP TABLE {schema.AUDIT}")
    for _ in range(2):
        run(app)
    [alert] = app.outbox.page(10)
    assert (alert.kind, alert.scope, alert.severity, alert.count) == (
        "audit_table_missing", "profile:p1", Severity.CRITICAL, 2,
    )  # fmt: skip
    carrier = Carrier()
    deliver_alerts(app, carrier)
    bot.init()
    run(app)
    deliver_alerts(app, carrier)
    assert [title.split()[1] for _, title in carrier.got] == ["CRITICAL", "RESOLVED"]


def test_no_target_is_said_with_what_to_do(app: App) -> None:
    with pytest.raises(ConfigurationError, match="no target") as refused:
        require_notifier(app)
    assert "TRUEUP_ALERT_URLS" in refused.value.do


def test_from_a_run_to_a_service_by_the_real_apprise(bot: Bot, receiver: Receiver) -> None:
    bot.environ["TRUEUP_ALERT_URLS"] = receiver.url()
    app = bot.ready(row("TRD-1"))
    pause(app)
    bot.db.run(f"DROP TABLE {schema.AUDIT}")
    run(app)
    notifier = require_notifier(app)
    assert isinstance(notifier, AppriseNotifier)
    assert len(deliver_alerts(app, notifier).delivered) == 1
    [body] = receiver.bodies
    assert "audit table is missing" in body


def test_an_outbox_that_is_empty_costs_a_read(bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def writes(*_: Any) -> None:
        raise AssertionError("nothing is written")

    monkeypatch.setattr(bot.store.state, "writing", writes)
    assert deliver_alerts(app, Carrier()).delivered == ()
    resolve_alert(app, "B-1")
