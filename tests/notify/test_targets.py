"""The Notifier port on the real Apprise, against a service on this machine."""

import logging
import socket

import pytest
from tests.notify.receiver import Receiver

from trueup.core.alerts import Severity
from trueup.core.errors import ConfigurationError
from trueup.notify.targets import AppriseNotifier
from trueup.ports import Message

MESSAGE = Message("[trueup] WARNING mismatch", "two lines\nof text", Severity.WARNING)


def test_a_message_arrives_whole(receiver: Receiver) -> None:
    notifier = AppriseNotifier([receiver.url()])
    assert notifier.send(MESSAGE, notifier.targets) == {notifier.targets[0]: None}
    [(path, said)] = receiver.got
    assert (path, said["title"], said["message"]) == ("/a-secret-path", MESSAGE.title, MESSAGE.body)
    assert said["type"] == "warning"


@pytest.mark.parametrize(
    ("severity", "kind"),
    [(Severity.RESOLVED, "success"), (Severity.INFO, "info"), (Severity.CRITICAL, "failure")],
)
def test_the_severity_is_told(receiver: Receiver, severity: Severity, kind: str) -> None:
    notifier = AppriseNotifier([receiver.url()])
    notifier.send(Message("t", "b", severity), notifier.targets)
    assert receiver.got[0][1]["type"] == kind


def test_each_target_answers_for_itself(receiver: Receiver) -> None:
    receiver.answer = lambda path: 503 if "down" in path else 200
    notifier = AppriseNotifier([receiver.url("up"), receiver.url("down")])
    up, down = notifier.targets
    assert notifier.send(MESSAGE, notifier.targets) == {up: None, down: "it answered 503"}
    assert notifier.send(MESSAGE, [down]) == {down: "it answered 503"}
    assert [path for path, _ in receiver.got] == ["/up"]


def test_a_target_that_is_not_there_is_told_without_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        notifier = AppriseNotifier([f"json://user:hush-hush@127.0.0.1:{free.getsockname()[1]}/hush-path"])
        [why] = notifier.send(MESSAGE, notifier.targets).values()
    assert why == "it could not be reached"


def test_names_hold_no_secret_and_stay_the_same(receiver: Receiver) -> None:
    url = receiver.url("hush-path", "hush-user:hush-word@")
    notifier = AppriseNotifier([url, receiver.url("other")])
    assert notifier.targets == AppriseNotifier([url, receiver.url("other")]).targets
    assert len(set(notifier.targets)) == 2
    assert "hush" not in repr(notifier) + "".join(notifier.targets)
    assert all(name.startswith("json-") for name in notifier.targets)


def test_what_apprise_logs_is_heard_by_nobody(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    caplog.set_level(logging.DEBUG, "apprise")
    receiver.answer = lambda _: 500
    notifier = AppriseNotifier([receiver.url("hush-path")])
    assert list(notifier.send(MESSAGE, notifier.targets).values()) == ["it answered 500"]
    assert "hush" not in caplog.text


def test_a_url_that_apprise_cannot_use_is_refused_by_its_place(receiver: Receiver) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot use target 2 \(nosuch://…\)") as refused:
        AppriseNotifier([receiver.url(), "nosuch://hush-hush/x"])
    assert "hush" not in str(refused.value)
