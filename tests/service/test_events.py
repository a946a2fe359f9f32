"""The log's events: one table, and nothing is said that is not in it."""

import ast
import re
import threading
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.bot import Bot, row, run, sold

from trueup.core.errors import CannotKnow
from trueup.service import events
from trueup.service.events import EVENTS, LEVELS, Event, listening, log, require, within
from trueup.service.modes import set_mode

ROOT = Path(__file__).parents[2] / "src" / "trueup"


class Heard(list[tuple[str, Mapping[str, object]]]):
    """What was told, in order."""

    def __call__(self, event: Event, said: Mapping[str, object]) -> None:
        self.append((event.name, said))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]


@pytest.fixture
def heard() -> Iterator[Heard]:
    told = Heard()
    with listening(told):
        yield told


def calls(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Yield where a module calls `log`, with which name and which fields."""
    tree = ast.parse(path.read_text())
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("trueup.service", "trueup.service.events")
        for alias in node.names
    }
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = ast.unparse(node.func)
        if (called == "events.log" and "events" in names) or (called == "log" and "log" in names):
            place = f"{path.name}:{node.lineno}"
            assert len(node.args) == 1, f"{place}: the name, and fields by name"
            assert isinstance(node.args[0], ast.Constant), f"{place}: the name stands there as it is"
            assert all(keyword.arg for keyword in node.keywords), f"{place}: fields are named one by one"
            yield place, str(node.args[0].value), {str(keyword.arg) for keyword in node.keywords}


def test_every_call_names_an_event_of_the_table_with_exactly_its_fields() -> None:
    found = [call for path in sorted(ROOT.rglob("*.py")) for call in calls(path)]
    assert len(found) >= 4
    for place, name, fields in found:
        try:
            require(name, dict.fromkeys(fields))
        except ValueError as error:
            pytest.fail(f"{place}: {error}")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("run_finished", {}),
        ("run_started", {}),
        ("run_started", {"kind": "backfill"}),
        ("run_started", {"kind": "backfill", "scope": "p1", "more": 1}),
        ("", {}),
    ],
)
def test_what_is_not_in_the_table_raises_whether_or_not_somebody_listens(name: str, fields: Any) -> None:
    for listener in (None, Heard()):
        events.listen_only(listener)
        with pytest.raises(ValueError, match=re.escape(name) or "no event"):
            log(name, **fields)
    events.listen_only(None)


def test_the_table_is_in_order() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    for event in EVENTS:
        assert event.level in LEVELS
        assert event.meaning.endswith(".")
        assert not {"event", "level", "timestamp", "run_id", "cycle_id"} & set(event.fields), event.name


def test_what_is_said_within_a_run_carries_its_ids(heard: Heard) -> None:
    with within(cycle_id="CYC-1"):
        with within(run_id="RUN-1"):
            log("api_stopped")
        log("api_stopped")
    log("api_stopped")
    assert [dict(said) for _, said in heard] == [{"cycle_id": "CYC-1", "run_id": "RUN-1"}, {"cycle_id": "CYC-1"}, {}]


def test_a_thread_carries_the_ids_of_the_context_that_it_runs_in(heard: Heard) -> None:
    with within(run_id="RUN-1"):
        for context in (copy_context().run, lambda call: call()):
            thread = threading.Thread(target=context, args=(lambda: log("api_stopped"),))
            thread.start()
            thread.join()
    assert [said.get("run_id") for _, said in heard] == ["RUN-1", None]


def test_ids_are_gone_after_a_run_that_failed(heard: Heard) -> None:
    with pytest.raises(ZeroDivisionError), within(run_id="RUN-1"):
        raise ZeroDivisionError
    log("api_stopped")
    assert heard == [("api_stopped", {})]


def test_a_backfill_is_told_from_its_begin_to_its_end_under_one_id(bot: Bot, heard: Heard) -> None:
    app = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    report = run(app, apply=True)
    assert heard.names == ["run_started", "run_ended"]
    assert {said["run_id"] for _, said in heard} == {report.run_id}
    ended = heard[-1][1]
    assert (ended["status"], ended["found"], ended["healed"], ended["unresolved"]) == ("OK", 1, 1, 0)


def test_a_backfill_that_fails_is_told(bot: Bot, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    app = bot.ready(row("TRD-1"))

    def fails(*_: object) -> None:
        raise CannotKnow("The ledger is gone.")

    monkeypatch.setattr(type(app.ledger), "open_trade_rows", fails)
    with pytest.raises(CannotKnow):
        run(app)
    assert heard.names == ["run_started", "run_failed"]
    assert heard[-1][1]["error"] == "The ledger is gone."


def test_a_change_of_mode_is_told(bot: Bot, heard: Heard) -> None:
    app = bot.ready()
    set_mode(app, "HALT", "profile:p1", "test")
    [(name, said)] = heard
    assert (name, said["scope"], said["mode"], said["source"]) == ("mode_changed", "profile:p1", "HALT", "operator")
