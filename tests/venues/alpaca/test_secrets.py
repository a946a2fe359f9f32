"""No secret in anything that is said, whatever Alpaca sends back."""

import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.venues.alpaca.desk import CLOCK, KEY, SECRET, Asked, Reply, all_well, canned, venue

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Snapshot
from trueup.venues.calls.verdicts import CallFailed

PARTS = (KEY, SECRET, quote(SECRET, safe=""), KEY[:12], SECRET[:12])
PADDING = "x" * 190
"""So that the secret stands where a message is cut."""

ECHOES = [
    lambda said: Reply({"code": 40010001, "message": f"bad header {said}"}, 422),
    lambda said: Reply({"message": f"key {said} is not authorized"}, 401),
    lambda said: Reply(f"<html>{said}</html>", 403),
    lambda said: Reply(f"<html>{PADDING}{said}</html>", 503),
    lambda said: Reply(f"<html>{PADDING}{said}</html>", 200),
    lambda said: Reply(f"{PADDING} {said}", 200),
    lambda said: Reply({"message": f"{PADDING}{PADDING[:100]}{said}"}, 500),
    lambda said: Reply("", 302, {"Location": f"https://example.invalid/{said}"}),
    lambda said: Reply({"error": said}),
    lambda said: Reply([said]),
]


def words(snapshot: Snapshot) -> Iterator[str]:
    yield repr(snapshot)
    for coverage in snapshot.coverage.values():
        yield coverage.reason
    yield from snapshot.notes


@pytest.mark.parametrize("secret", [KEY, SECRET])
@pytest.mark.parametrize("number", range(len(ECHOES)))
def test_an_answer_that_echoes_a_secret_is_masked(
    number: int, secret: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with canned(lambda asked: CLOCK if asked.path == "/v2/clock" else ECHOES[number](secret)) as server:
        alpaca = venue(server.url, always_read=("AAPL",), allow_flatten=True)
        try:
            said += words(alpaca.read())
        except CannotKnow as error:
            said.append(str(error))
        said.append(alpaca.find_order("AAPL", "o-1", "c-1").why)
        said += [f"{check.found} {check.do}" for check in alpaca.inspect()]
        assert alpaca.actions is not None
        for act in (alpaca.actions.cancel_all, lambda: alpaca.actions.close_position("AAPL")):  # type: ignore[union-attr]  # asserted above
            try:
                said += [*(report := act()).done, *report.failed]
            except CannotKnow as error:
                said.append(str(error))
        said += [str(failed) for failed in alpaca.connection.caller.failures]
        said += [repr(alpaca.account), repr(alpaca), repr(alpaca.connection)]
    said += [record.getMessage() for record in caplog.records]
    said += capfd.readouterr()
    assert len([one for one in said if one]) > 5
    assert [one for one in said for part in PARTS if part in one] == []


def test_where_the_network_fails_no_secret_is_said() -> None:
    with canned(all_well()) as server:
        url = server.url
    with pytest.raises(CallFailed) as caught:
        venue(url).connection.rows("rows", "/rows")
    assert not any(part in str(caught.value) for part in PARTS)


def test_the_question_holds_no_secret() -> None:
    asked: list[Asked] = []

    def answers(question: Asked) -> Reply:
        asked.append(question)
        return all_well()(question)

    with canned(answers) as server:
        venue(server.url).read()
    assert not any(part in f"{one.path} {one.query}" for one in asked for part in PARTS)
