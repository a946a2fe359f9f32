"""What every venue owes, whatever its adapter: the file, Alpaca, ccxt's spot and swaps, and the simulated exchange.

One week of a bot stands behind all of them; the exchange's own truth says what they must tell.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.scenarios.worlds import Stage, stages

from trueup.core.errors import ConfigurationError
from trueup.core.holdings import Holdings
from trueup.core.orders import Side
from trueup.core.repair.booked import BookedIndex
from trueup.core.repair.evidence import evidence_of
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.reach import order_feed_reach
from trueup.core.snapshot import Feed, Snapshot
from trueup.ports import Venue
from trueup.service.snapshot import as_text
from trueup.sim.venue import SimVenue
from trueup.sim.weeks import WEEK_MS, WeekKind
from trueup.venues.file import FileVenue

ADAPTERS: dict[str, WeekKind] = {
    "file": "alpaca",
    "alpaca": "alpaca",
    "ccxt spot": "binance",
    "ccxt swap": "binanceusdm",
    "simulated": "binanceusdm",
}
POLICY = BackfillPolicy(lookback_ms=WEEK_MS + 3_600_000)


@dataclass
class Case:
    """One adapter on its stage."""

    name: str
    stage: Stage
    venue: Venue

    @property
    def is_live(self) -> bool:
        return self.name not in ("file", "simulated")

    def read(self) -> Snapshot:
        """Read it, without the notes: they tell how far two clocks are apart."""
        return replace(self.venue.read(self.stage.scope), notes=())


@pytest.fixture(scope="module", params=ADAPTERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with stages(ADAPTERS[request.param]) as made:
        stage = made[1]
        venue: Venue = stage.venue()
        if request.param == "simulated":
            venue = SimVenue(stage.week.exchange, stage.week.account)
        if request.param == "file":
            path = tmp_path_factory.mktemp("export") / "venue.json"
            path.write_text(as_text(venue.export(stage.scope)))
            venue = FileVenue("main", path)
        yield Case(request.param, stage, venue)


def executed(snapshot: Snapshot) -> dict[tuple[str, str], tuple[Side, Decimal, int]]:
    found = evidence_of(snapshot, BookedIndex(), POLICY)
    assert found.conflicts == found.disagreements == ()
    return {(e.token, e.exchange_order_id): (e.side, e.filled, e.time_ms) for r in found.rows.values() for e in r}


def test_every_feed_has_its_coverage_and_the_reason_of_what_is_not_complete(case: Case) -> None:
    snapshot = case.read()
    for feed in Feed:
        cover = snapshot.feed(feed)
        assert cover.complete or cover.reason, feed
    assert order_feed_reach(snapshot) is not None
    assert Holdings(snapshot).coverage.complete


def test_now_is_by_the_venues_clock(case: Case) -> None:
    snapshot = case.read()
    assert snapshot.as_of_source == "venue"
    assert snapshot.as_of_ms == case.stage.week.exchange.now_ms


def test_rows_are_lawful(case: Case) -> None:
    snapshot = case.read()
    assert snapshot.malformed == ()
    assert len(snapshot.orders) > 20
    for order in snapshot.orders:
        assert order.id
        assert snapshot.symbols.token(order.symbol)
        assert 0 < order.time_ms <= snapshot.as_of_ms
        assert order.qty >= 0
        assert (order.price is not None and order.price > 0) or order.price_source == "none"
    for fill in snapshot.fills:
        assert fill.id
        assert fill.order_id
        assert fill.qty > 0
        assert 0 < fill.time_ms <= snapshot.as_of_ms


def test_what_executed_is_what_really_did(case: Case) -> None:
    real = {key: (row.side, row.filled, row.time_ms) for key, row in case.stage.executed.items()}
    assert executed(case.read()) == real


def test_what_is_held_is_what_really_is(case: Case) -> None:
    held, true = Holdings(case.read()), Holdings(case.stage.truth)
    for symbol in case.stage.scope.symbols:
        assert held.of(symbol).unknown is None
        assert held.of(symbol).signed == true.of(symbol).signed


def test_tags_and_client_ids_come_along(case: Case) -> None:
    told = {(case.stage.truth.symbols.token(o.symbol), o.id): o for o in case.read().orders}
    for order in case.stage.truth.orders:
        found = told[case.stage.truth.symbols.token(order.symbol), order.id]
        assert (found.client_order_id, found.sub_tag) == (order.client_order_id, order.sub_tag)


def test_a_second_reading_says_the_same(case: Case) -> None:
    assert case.read() == case.read()


def test_an_order_is_found_by_its_id_and_by_its_client_id(case: Case) -> None:
    for order in case.stage.truth.orders[:3]:
        by_id = case.venue.find_order(order.symbol, order.id)
        by_client = case.venue.find_order(order.symbol, client_order_id=order.client_order_id)
        for answer in (by_id, by_client):
            assert answer.order is not None, answer.why
            assert (answer.order.id, answer.order.qty, answer.order.side) == (order.id, order.qty, order.side)


def test_an_order_that_is_not_there_is_absent_or_unknown_with_the_reason(case: Case) -> None:
    order = case.stage.truth.orders[0]
    for asked in ({"order_id": "987654321"}, {"client_order_id": "nobodys-id"}):
        answer = case.venue.find_order(order.symbol, **asked)
        assert answer.order is None
        assert answer.absent or answer.why


def test_nothing_can_be_done_unless_the_account_allows_it(case: Case) -> None:
    assert case.venue.actions is None


def test_what_is_exported_reads_as_the_same(case: Case, tmp_path: Path) -> None:
    if case.name == "file":
        with pytest.raises(ConfigurationError, match="is an export already"):
            case.venue.export()
        return
    document = case.venue.export(case.stage.scope)
    text = as_text(document)
    json.loads(text)
    (tmp_path / "kept.json").write_text(text)
    live = case.read()
    kept = replace(FileVenue(live.account, tmp_path / "kept.json").read(), notes=())
    if case.is_live:
        assert replace(kept, as_of_source=live.as_of_source) == live
    assert executed(kept) == executed(live)
    assert (kept.coverage, kept.as_of_ms) == (live.coverage, live.as_of_ms)


def test_the_doctor_finds_nothing_wrong(case: Case) -> None:
    assert [check for check in case.venue.inspect() if not check.ok and check.exit_code] == []
