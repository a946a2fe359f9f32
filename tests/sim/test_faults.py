"""Every fault shows on the wire, is logged, and comes again by its seed."""

from decimal import Decimal
from typing import Any

import pytest
import requests
from tests.sim.worlds import BOT, HEADERS, KEY, SECRET, alpaca_exchange, buy, ccxt_client, sell, spot_exchange

from trueup.sim.exchange import Exchange
from trueup.sim.faults import HONEST, NOTES, Fault, FaultKind, FaultPlan
from trueup.sim.server import running
from trueup.sim.wire.alpaca import alpaca_app
from trueup.sim.wire.binance import BinanceWire, binance_app

FILLS = "/v2/account/activities/FILL"


def history(count: int = 6) -> Exchange:
    exchange = alpaca_exchange()
    for number in range(count):
        (buy if number % 2 == 0 else sell)(exchange, "AAPL", "1")
        exchange.advance(1_000)
    return exchange


def asked(plan: FaultPlan, *paths: str, exchange: Exchange | None = None) -> list[requests.Response]:
    """Ask for paths, one after the other, over a wire with a plan's faults."""
    with running(plan.wrap(alpaca_app(exchange or history()))) as url:
        return [requests.get(url + path, headers=HEADERS, timeout=5) for path in paths]


def struck(kind: str, path: str = FILLS, **more: Any) -> tuple[requests.Response, requests.Response]:
    """Return an answer with a fault, and the honest one after it."""
    plan = FaultPlan(seed=1, faults=[Fault(kind=kind, at_request=1, **more)])
    broken, whole = asked(plan, path, path)
    assert [entry.fault.name for entry in plan.log] == [kind]
    return broken, whole


def ids(answer: requests.Response) -> list[str]:
    return [row["id"] for row in answer.json()]


def test_every_kind_has_a_note() -> None:
    assert NOTES.keys() == set(FaultKind)
    assert FaultKind.DROP not in HONEST
    assert FaultKind.RESET in HONEST


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        FaultPlan(rates={"nonsense": "0.1"})


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("html_5xx", 503, b"<html>"), ("json_5xx", 500, b'{"code"'), ("html_200", 200, b"<html>"),
        ("empty_200", 200, b""),
        ("null_200", 200, b"null"), ("object_200", 200, b"{}"), ("maintenance", 503, b'{"code"'),
        ("throttle_429", 429, b'{"code"'), ("throttle_429_silent", 429, b'{"code"'), ("revoked_key", 401, b'{"code"'),
    ],
)  # fmt: skip
def test_an_answer_is_replaced_once(kind: str, status: int, body: bytes) -> None:
    broken, whole = struck(kind)
    assert (broken.status_code, broken.content[: len(body)]) == (status, body)
    assert len(ids(whole)) == 6


def test_a_throttled_answer_says_when_to_come_back_or_does_not() -> None:
    assert struck("throttle_429", retry_after=7)[0].headers["Retry-After"] == "7"
    assert "Retry-After" not in struck("throttle_429_silent")[0].headers


def test_rows_are_dropped_doubled_reordered_and_cut() -> None:
    (dropped, whole), (doubled, _) = struck("drop"), struck("duplicate")
    (mixed, _), (cut, _) = struck("reorder"), struck("truncated_page")
    truth = ids(whole)
    assert len(ids(dropped)) == 5
    assert set(ids(dropped)) < set(truth)
    assert (len(ids(doubled)), set(ids(doubled))) == (7, set(truth))
    assert (sorted(ids(mixed)), ids(mixed) != truth) == (sorted(truth), True)
    assert ids(cut) == truth[:3]


def test_a_page_comes_again_in_the_place_of_the_next() -> None:
    plan = FaultPlan(faults=[Fault(kind="repeated_page", at_request=2)])
    first, second = asked(plan, f"{FILLS}?page_size=2", f"{FILLS}?page_size=2&page_token=x")
    assert ids(first) == ids(second)


def test_an_old_snapshot_is_served_for_a_new_one() -> None:
    exchange, plan = history(), FaultPlan(faults=[Fault(kind="stale_snapshot", at_request=2)])
    with running(plan.wrap(alpaca_app(exchange))) as url:
        flat = requests.get(f"{url}/v2/positions", headers=HEADERS, timeout=5).json()
        buy(exchange, "AAPL", "5")
        stale, fresh = (requests.get(f"{url}/v2/positions", headers=HEADERS, timeout=5).json() for _ in range(2))
    assert flat == stale == []
    assert fresh[0]["qty"] == "5"


def test_fills_lag_behind_the_orders() -> None:
    plan = FaultPlan(faults=[Fault(kind="fills_lag", ms=2_500)])
    fills, orders = asked(plan, FILLS, "/v2/orders?status=closed")
    assert (len(ids(fills)), len(ids(orders))) == (4, 6)
    short = asked(plan, f"{FILLS}?page_size=2")[0]
    assert len(ids(short)) == 2


def test_a_forgetful_venue_loses_what_is_old_and_nothing_that_works() -> None:
    exchange = alpaca_exchange()
    waiting = buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1))
    for _ in range(4):
        buy(exchange, "AAPL", "1")
        exchange.advance(1_000)
    plan = FaultPlan(faults=[Fault(kind="forgetful", ms=2_000)])
    fills, orders, one = asked(
        plan, FILLS, "/v2/orders?status=all", f"/v2/orders/{exchange.orders[1].id}", exchange=exchange
    )
    assert (len(ids(fills)), one.status_code) == (2, 404)
    assert ids(orders)[-1] == waiting.id
    assert len(ids(orders)) == 3


def test_a_reset_breaks_off_in_the_middle() -> None:
    plan = FaultPlan(faults=[Fault(kind="reset", at_request=1)])
    with running(plan.wrap(alpaca_app(history()))) as url:
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(url + FILLS, headers=HEADERS, timeout=5)
        assert len(requests.get(url + FILLS, headers=HEADERS, timeout=5).json()) == 6
    assert plan.log[0].what.startswith("after ")


def test_what_times_out_may_have_been_done() -> None:
    exchange, order = alpaca_exchange(), {"symbol": "AAPL", "qty": "1", "side": "buy"}
    plan = FaultPlan(faults=[Fault(kind="timeout_after_acceptance", method="POST", ms=600)])
    body = order | {"type": "market", "time_in_force": "day", "client_order_id": "mine"}
    with running(plan.wrap(alpaca_app(exchange))) as url:
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(f"{url}/v2/orders", json=body, headers=HEADERS, timeout=0.2)
        late = requests.post(f"{url}/v2/orders", json=body | {"client_order_id": "next"}, headers=HEADERS, timeout=5)
    assert late.status_code == 504
    assert [order.client_order_id for order in exchange.orders] == ["mine", "next"]


def test_an_unknown_value_and_an_unknown_field_stand_in_the_rows() -> None:
    strange, whole = struck("unknown_enum", "/v2/orders?status=all")
    fields = ("status", "side", "type")
    changed = [
        new for new, old in zip(strange.json(), whole.json(), strict=True) if any(new[f] != old[f] for f in fields)
    ]
    assert len(changed) == 1
    more, _ = struck("unknown_field")
    assert all("venueHint" in row for row in more.json())


def test_latency_delays_and_changes_nothing() -> None:
    late, whole = struck("latency", ms=150)
    assert late.elapsed.total_seconds() >= 0.15
    assert late.content == whole.content


def test_a_skewed_clock_shows_in_alpaca_s_clock_and_is_binance_s_1021() -> None:
    import ccxt

    plan = FaultPlan(faults=[Fault(kind="clock_skew", path="clock", ms=-90_000, times=1)])
    skewed, right = asked(plan, "/v2/clock", "/v2/clock")
    assert skewed.json()["timestamp"] < right.json()["timestamp"]
    plan = FaultPlan(faults=[Fault(kind="clock_skew", path="/api/v3/account", times=1)])
    with running(plan.wrap(binance_app(spot_exchange(), BinanceWire(check_time=False)))) as url:
        client = ccxt_client("binance", url)
        client.load_markets()
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            client.fetch_balance()
        assert client.fetch_balance()["total"]["USDT"] == "1000000"


def test_ccxt_reads_an_object_in_the_place_of_balances_as_nothing() -> None:
    plan = FaultPlan(faults=[Fault(kind="object_200", path="/api/v3/account")])
    with running(plan.wrap(binance_app(spot_exchange(), BinanceWire(check_time=False)))) as url:
        assert ccxt_client("binance", url).fetch_balance()["total"] == {}


def test_rows_inside_an_object_are_struck_too() -> None:
    plan = FaultPlan(faults=[Fault(kind="drop", path="/api/v3/account")])
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "1")
    with running(plan.wrap(binance_app(exchange, BinanceWire(check_time=False)))) as url:
        assert len(ccxt_client("binance", url).fetch_balance()["total"]) == 1
    assert plan.log[0].what.startswith("row ")


def seeded(seed: int) -> FaultPlan:
    rates = {"drop": "0.15", "html_5xx": "0.1", "reorder": "0.15", "json_5xx": "0.1", "unknown_enum": "0.1"}
    return FaultPlan(seed=seed, rates=rates)


def bytes_of(plan: FaultPlan) -> list[bytes]:
    return [answer.content for answer in asked(plan, *[f"{FILLS}?page_size=4", "/v2/orders?status=all"] * 15)]


def test_the_same_seed_gives_the_same_bytes_and_the_log_can_be_played_again() -> None:
    plan = seeded(5)
    first = bytes_of(plan)
    assert len({entry.fault.name for entry in plan.log}) >= 3
    assert bytes_of(seeded(5)) == first
    assert bytes_of(plan.again()) == first
    assert bytes_of(seeded(6)) != first
    assert all(str(entry).split()[1] == entry.fault.name for entry in plan.log)


def test_a_fault_may_wait_for_the_second_page() -> None:
    plan = FaultPlan(faults=[Fault(kind="html_200", path="/activities", skip=1, times=1)])
    answers = asked(plan, FILLS, "/v2/account", FILLS, FILLS)
    assert [answer.content[:6] == b"<html>" for answer in answers] == [False, False, True, False]


def test_a_plan_can_be_turned_off_and_kept_to_some_paths() -> None:
    plan = FaultPlan(rates={"html_5xx": 1}, only="/orders")
    fills, orders = asked(plan, FILLS, "/v2/orders")
    assert (fills.status_code, orders.status_code) == (200, 503)
    plan.enabled = False
    assert asked(plan, "/v2/orders")[0].status_code == 200


def test_a_revoked_key_stays_refused_while_the_account_says_so() -> None:
    exchange = alpaca_exchange()
    exchange.accounts[BOT].revoked = True
    assert asked(FaultPlan(), "/v2/account", exchange=exchange)[0].status_code == 401
    assert (exchange.accounts[BOT].key, exchange.accounts[BOT].secret) == (KEY, SECRET)
