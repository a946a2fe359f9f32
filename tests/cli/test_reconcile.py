"""What reconcile and breaks say: each break counted once, acknowledged ones as such, and heals in one readable line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.program import Program
from tests.ledger.bot import NOW, Bot, a_bot, at, row, sold

from trueup.core.times import iso
from trueup.service.health import health_of
from trueup.surfaces.metrics import samples

ENTRY = row("TRD-1", client_order_id="bytelyst-p1-TRD-1-entry", exchange_order_id="E1")
BOUGHT = sold("E1", side="buy", minute=0, client_order_id="bytelyst-p1-TRD-1-entry", filled_avg_price="100")
WORKING = row("TRD-2", status="new", exchange_order_id="E2", order_id="w2", price="100")
FILLED = sold("E2", side="buy", minute=5, filled_avg_price="100")
OUT = sold("X9", minute=9, qty="0.5", client_order_id="bytelyst-p1-TRD-1-exit")
MANUAL = sold("hand", "0.25", minute=6, side="buy")
LOST = row("TRD-3", None, 5, status="new", exchange_order_id="L1", order_id="lost", price="90")


@pytest.fixture
def sqlite_bot(tmp_path: Path, sqlite_url: str) -> Iterator[Bot]:
    with a_bot(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
def bot(sqlite_bot: Bot) -> Bot:
    """A bot with one fill that it missed, one exit that it does not have, a manual order, and one that is not found."""
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY, WORKING, LOST)
    see(sqlite_bot, 0)
    return sqlite_bot


def see(bot: Bot, later: float) -> None:
    held = [{"symbol": "BTC/USD", "qty": "1.75", "side": "long", "mark_price": "97"}]
    orders = [BOUGHT, FILLED, OUT, MANUAL]
    bot.venue(positions=held, closed_orders=orders, open_orders=[], as_of=iso(at(NOW + later)))


def outcomes(document: dict[str, int]) -> int:
    names = ("healed", "would_heal", "quarantined", "waiting", "unresolved", "acknowledged")
    return sum(document[name] for name in names)


def test_a_dry_run_says_what_it_would_heal_and_counts_each_break_once(bot: Bot) -> None:
    program = Program(bot)
    said = program("reconcile", "--dry-run")
    assert said.code == 1
    assert "would heal" in said.out
    assert "MISMATCH: 5 breaks (2 would heal, 1 waiting, 2 quarantined)" in said.out
    summary = program("reconcile", "--dry-run", "--format", "json").json["summary"]
    assert (summary["found"], summary["would_heal"], summary["healed"]) == (5, 2, 0)
    assert outcomes(summary) == summary["found"]
    healed = program("reconcile", "--format", "json").json["summary"]
    assert (healed["healed"], healed["would_heal"], outcomes(healed)) == (2, 0, healed["found"])


def test_a_dry_run_is_listed_and_counted_by_no_figure(bot: Bot) -> None:
    program = Program(bot)
    program("reconcile", "--dry-run")
    figures = {name: value for name, _, value in samples(bot.app())}
    assert {"trueup_runs_total", "reconciliation_mismatch_total", "trueup_seconds_since_last_run"}.isdisjoint(figures)
    total, [run] = bot.app().runs.page()
    assert (total, run["dry_run"]) == (1, True)


def test_an_acknowledged_break_is_counted_as_such_and_as_no_mismatch(bot: Bot) -> None:
    program = Program(bot)
    first = program("reconcile", "--format", "json").json["runs"][0]
    orphan = next(each for each in first["breaks"] if each["kind"] == "orphan_order")
    program("breaks", "acknowledge", orphan["break_id"], "--reason", "bought by hand")
    see(bot, 1)
    said = program("reconcile")
    assert "3 breaks (1 acknowledged, 1 waiting, 1 quarantined)" in said.out
    last = {name: value for name, _, value in samples(bot.app())}
    assert last["trueup_last_run_mismatches"] == 2
    assert health_of(bot.app().runs.newest(["p1"]), ["p1"], at(NOW), 1).mismatches == 2


def test_a_row_that_is_added_is_told_in_one_line(bot: Bot) -> None:
    out = Program(bot)("reconcile").out
    assert "new row: sell 0.5 BTC/USD at 110, 2026-01-02 03:09:00Z" in " ".join(out.split())


def test_a_ghost_that_is_closed_has_its_line(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    for later in range(2):
        sqlite_bot.venue(closed_orders=[BOUGHT], as_of=iso(at(NOW + later)))
        Program(sqlite_bot)("reconcile")
    sqlite_bot.venue(closed_orders=[BOUGHT], as_of=iso(at(NOW + 2)))
    would = Program(sqlite_bot)("reconcile", "--dry-run")
    assert "1 break (1 would heal)" in would.out
    out = " ".join(Program(sqlite_bot)("reconcile").out.split())
    assert "new row: sell 1 BTC/USD at no known price, 2026-01-02 13:02:00Z" in out
    assert "parity" in out
    assert "backfill revert RUN-" in out


def test_floats_of_somebody_elses_table_are_told_as_numbers(sqlite_bot: Bot) -> None:
    bot = sqlite_bot
    bot.db.run(
        "CREATE TABLE trades (id TEXT PRIMARY KEY, profile TEXT, market TEXT, side TEXT, qty REAL, price REAL, status"
        " TEXT, ts INTEGER, trade TEXT, action TEXT, client TEXT, exchange TEXT)"
    )
    bot.ledger = {"orders_table": "trades"}
    bot.columns = {
        "order_id": "id", "profile_id": "profile", "symbol": "market", "timestamp": "ts", "trade_id": "trade",
        "client_order_id": "client", "exchange_order_id": "exchange",
    }  # fmt: skip
    bot.init()
    bot.db.insert(
        "trades",
        [{"id": "w", "profile": "p1", "market": "BTC/USD", "side": "buy", "qty": 1.0, "price": 100.0, "status": "new",
          "ts": at(0), "trade": "TRD-2", "action": "ENTRY", "client": None, "exchange": "E2"}],
    )  # fmt: skip
    held = [{"symbol": "BTC/USD", "qty": "0.4", "side": "long"}]
    part = sold("E2", "0.4", side="buy", minute=5, filled_avg_price="99.5", status="canceled")
    bot.venue(positions=held, closed_orders=[part])
    out = Program(bot)("reconcile").out
    assert "float" not in out
    assert "qty: 1 → 0.4" in out
    assert "price: 100 → 99.5" in out


def test_a_break_that_is_taken_over_twice_keeps_both_reasons(bot: Bot) -> None:
    program = Program(bot)
    breaks = program("reconcile", "--format", "json").json["runs"][0]["breaks"]
    name = next(each["break_id"] for each in breaks if each["kind"] == "orphan_order")
    first = program("breaks", "acknowledge", name, "--reason", "bought by hand: mine")
    assert "bought by hand: mine" in first.out
    assert "before" not in first.out
    again = program("breaks", "acknowledge", name, "--reason", "no, it was the intern")
    assert "It was " in again.out
    assert "bought by hand: mine" in again.out
    see(bot, 1)
    program("reconcile")
    kept = program("breaks", "show", name, "--format", "json").json
    assert [one["reason"] for one in kept["history"]] == ["bought by hand: mine", "no, it was the intern"]
    shown = program("breaks", "show", name).out
    assert shown.count("taken over: ") == 2
    assert " ago" in next(line for line in shown.splitlines() if line.startswith("first_seen"))


STRANGER = sold("S1", "0.25", minute=6, side="buy", client_order_id="bytelyst-Swing-TRD-9-entry")


def test_an_order_whose_tag_names_an_unknown_profile_says_so_and_explains_what_is_held(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    held = [{"symbol": "BTC/USD", "qty": "1.25", "side": "long", "mark_price": "97"}]
    sqlite_bot.venue(positions=held, closed_orders=[BOUGHT, STRANGER])
    breaks = Program(sqlite_bot)("reconcile", "--format", "json").json["runs"][0]["breaks"]
    why = {each["kind"]: each["reason"] for each in breaks}
    assert "its tag names profile Swing, which is not known here (known: p1)" in why["orphan_order"]
    assert why["unbooked_position"] == "explained by S1, whose tag names Swing, not known here; a person decides"
    sqlite_bot.venue(positions=[{**held[0], "qty": "1.5"}], closed_orders=[BOUGHT, STRANGER], as_of=iso(at(NOW + 1)))
    breaks = Program(sqlite_bot)("reconcile", "--format", "json").json["runs"][0]["breaks"]
    why = {each["kind"]: each["reason"] for each in breaks}
    assert why["unbooked_position"].startswith("explained up to 0.25 by S1")


def test_every_scope_that_is_not_normal_is_listed_and_a_symbol_that_nothing_knows_is_noted(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    program = Program(sqlite_bot)
    known = program("mode", "set", "HALT", "--scope", "symbol:p1:BTCUSD", "--reason", "a")
    assert (known.code, known.err) == (0, "")
    unknown = program("mode", "set", "CLOSE_ONLY", "--scope", "symbol:p1:DOGE/USD", "--reason", "a")
    assert unknown.code == 0
    assert "no open trade and no managed symbol of p1 is called DOGE/USD" in unknown.err
    lines = [line.split() for line in program("mode", "show").out.splitlines()]
    assert ["symbol:p1:BTCUSD", "HALT"] in lines
    assert ["symbol:p1:DOGE/USD", "CLOSE_ONLY"] in lines


def test_names_that_nothing_knows_are_noted_and_end_with_2_where_nothing_else_was_asked_for(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    held = [{"symbol": "BTC/USD", "qty": "1", "side": "long"}]
    sqlite_bot.venue(positions=held, closed_orders=[BOUGHT])
    program = Program(sqlite_bot)
    trade = program("reconcile", "--trade", "TRD-NOBODY")
    assert (trade.code, "has a trade TRD-NOBODY" in trade.err) == (2, True)
    symbol = program("reconcile", "--symbol", "DOGE/USD")
    assert (symbol.code, "is called DOGE/USD" in symbol.err) == (2, True)
    assert program("reconcile", "--trade", "TRD-1").code == 0
    both = program("reconcile", "--trade", "TRD-1", "--trade", "TRD-NOBODY")
    assert (both.code, "TRD-NOBODY" in both.err) == (0, True)


def test_a_wrong_column_is_a_wrong_configuration_for_check_and_reconcile_alike(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.ledger, sqlite_bot.columns = {"orders_table": "orders"}, {"symbol": "nope"}
    program = Program(sqlite_bot)
    assert (program("check").code, program("reconcile").code) == (2, 2)
    assert "no column 'nope'" in program("reconcile").out


def test_a_venue_that_cannot_be_read_is_told_once_in_the_coverage(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    (sqlite_bot.folder / "main.json").unlink()
    out = Program(sqlite_bot)("reconcile").out
    coverage = next(line for line in out.splitlines() if line.strip().startswith("coverage: "))
    assert coverage.count("cannot be read") == 1
    assert "positions, balances, open_orders, closed_orders, fills FAILED" in coverage


def test_a_head_that_is_none_and_seconds_without_live_are_wrong_usage(bot: Bot) -> None:
    program = Program(bot)
    assert program("audit", "verify", "--expect-head", "zzz").code == 2
    assert program("demo", "--seconds", "3").code == 2
    assert "reconcile" in program("backfill", "revert", "--help").out


def test_a_ledger_that_is_attached_read_only_is_watched(bot: Bot) -> None:
    """Every look is told, confirmed and remembered; nothing is announced in the audit that can never be made."""
    bot.ledger["state_url"] = f"sqlite:///{bot.folder / 'state.db'}"
    app = bot.init()
    kept = bot.db.table("orders")
    for later in range(4):
        see(bot, later)
        said = Program(bot)("reconcile")
        assert said.code == 1, said.err
        assert "the ledger is attached read-only" in said.out + said.err
        assert " healed" not in said.out.replace("could be healed", "")
    assert bot.db.table("orders") == kept
    assert list(app.journal.audit_rows()) == []
    first = Program(bot)("breaks", "list", "--format", "json").json["breaks"]
    assert {each["state"] for each in first} >= {"open", "quarantined"}
    assert {each["confirmations"] for each in first if each["kind"] == "orphan_order"} == {4}
    dry = Program(bot)("reconcile", "--dry-run")
    assert (dry.code, "would heal" in dry.out) == (1, False)


def test_a_ghost_in_a_ledger_that_is_attached_read_only_stays(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    sqlite_bot.ledger["state_url"] = f"sqlite:///{sqlite_bot.folder / 'state.db'}"
    sqlite_bot.init()
    for later in range(5):
        sqlite_bot.venue(closed_orders=[BOUGHT], as_of=iso(at(NOW + later)))
        said = Program(sqlite_bot)("reconcile")
    assert "confirmed 5 times; the ledger is attached read-only" in " ".join(said.out.split())
    assert len(sqlite_bot.db.table("orders")) == 1


def test_another_price_is_told_with_both(sqlite_bot: Bot) -> None:
    sqlite_bot.init()
    sqlite_bot.db.orders(ENTRY)
    held = [{"symbol": "BTC/USD", "qty": "1", "side": "long"}]
    sqlite_bot.venue(closed_orders=[{**BOUGHT, "filled_avg_price": "155.5"}], positions=held)
    [found] = Program(sqlite_bot)("reconcile", "--format", "json").json["runs"][0]["breaks"]
    assert (found["kind"], "booked at 100, executed at 155.5." in found["reason"]) == ("price_mismatch", True)
