"""The commands alerts list, test and deliver."""

from collections.abc import Iterator

import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot
from tests.notify.receiver import Receiver, receiving

from trueup.service.alerts import raise_alert, resolve_alert


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def told(bot: Bot, receiver: Receiver) -> Program:
    """Give the program on a bot with two alerts in its outbox, of which one target will refuse every one."""
    bot.environ["TRUEUP_ALERT_URLS"] = f"{receiver.url('up')} {receiver.url('down')}"
    receiver.answer = lambda path: 418 if path == "/down" else 200
    app = bot.init()
    raise_alert(app, "mismatch", "B-1", "profile:p1", "warning", "0.4 BTC/USD is not at the venue")
    raise_alert(app, "lease_contended", "main", "account:main", "critical", "refused ten times in a row")
    return Program(bot)


def test_what_is_in_the_outbox_is_listed(told: Program) -> None:
    answer = told("alerts", "list")
    assert answer.code == 0
    assert [line.split()[2:5] for line in answer.out.splitlines()[1:]] == [
        ["critical", "lease_contended", "account:main"], ["warning", "mismatch", "profile:p1"],
    ]  # fmt: skip
    document = told("alerts", "list", "--limit", "1", "--format", "json").json
    assert [alert["kind"] for alert in document["alerts"]] == ["lease_contended"]


def test_each_target_is_tried(told: Program, receiver: Receiver) -> None:
    answer = told("alerts", "test")
    assert answer.code == 1
    assert "took it" in answer.out
    assert "it answered 418" in answer.out
    assert receiver.bodies == ["This is a test: alerts of trueup arrive here."]
    receiver.answer = lambda _: 200
    document = told("alerts", "test", "--format", "json")
    assert document.code == 0
    assert [target["ok"] for target in document.json["targets"]] == [True, True]


def test_what_is_due_is_delivered_and_what_is_not_taken_is_told(told: Program, receiver: Receiver) -> None:
    answer = told("alerts", "deliver")
    assert answer.code == 1
    assert answer.out.startswith("0 alerts delivered.")
    assert answer.out.count("it answered 418") == 2
    assert len(receiver.got) == 2
    listed = told("alerts", "list", "--pending", "--format", "json").json["alerts"]
    assert [alert["attempts"] for alert in listed] == [1, 1]
    assert all(alert["taken_by"] and list(alert["refused_by"].values()) == ["it answered 418"] for alert in listed)


def test_once_everything_is_delivered_nothing_is_left(told: Program, receiver: Receiver) -> None:
    receiver.answer = lambda _: 200
    answer = told("alerts", "deliver", "--format", "json")
    assert (answer.code, answer.json) == (0, {"delivered": 2, "undelivered": []})
    assert told("alerts", "list", "--pending").out == "Every alert is delivered.\n"
    resolve_alert(told.bot.app(), "B-1", "it is back")
    assert told("alerts", "deliver").out == "1 alert delivered.\n"


def test_without_a_target_it_is_said_what_to_set(program: Program) -> None:
    for command in ("test", "deliver"):
        answer = program("alerts", command)
        assert answer.code == 2
        assert "TRUEUP_ALERT_URLS" in answer.err


def test_no_secret_of_a_target_is_shown(told: Program, receiver: Receiver) -> None:
    told.bot.environ["TRUEUP_ALERT_URLS"] = receiver.url("down", "hush-user:hush-word@")
    told("alerts", "deliver")
    for words in (("alerts", "list"), ("alerts", "test"), ("alerts", "list", "--format", "json"), ("doctor",)):
        answer = told(*words)
        assert "hush" not in answer.out + answer.err


def test_what_ended_before_anybody_was_told_is_not_called_delivered(bot: Bot) -> None:
    app = bot.init()
    raise_alert(app, "mismatch", "B-1", "profile:p1", "warning", "0.4 BTC/USD is not at the venue")
    resolve_alert(app, "B-1")
    answer = Program(bot)("alerts", "list")
    assert "ended unheard" in answer.out
    assert "delivered" not in answer.out
    assert answer.err.count("TRUEUP_ALERT_URLS") == 1
    [alert] = Program(bot)("alerts", "list", "--format", "json").json["alerts"]
    assert alert["ended_unheard"] is True
