"""What the doctor sees in the rows, on both databases."""

import pytest
from sqlalchemy import event, inspect
from tests.ledger.attached import Form
from tests.ledger.bot import Bot, leave, row

from trueup.core.errors import ConfigurationError
from trueup.ports import Check
from trueup.service.setup import doctor, initialise


def looked_at(bot: Bot) -> dict[str, Check]:
    return {check.name: check for check in doctor(bot.app())}


def test_rows_that_can_be_used_are_well(bot: Bot) -> None:
    bot.ready(row("TRD-1", exchange_order_id="v-0"), leave("TRD-1"))
    checks = looked_at(bot)
    assert checks["ledger rows"].found == "2 looked at: the newest, and those of open trades"
    assert [check for check in checks.values() if not check.ok] == []


def test_rows_that_cannot_be_read_are_told_with_the_first(bot: Bot) -> None:
    bot.ready(row("TRD-1", "2", quantity="1", order_id="o1", exchange_order_id="v-0"), row("TRD-2"))
    found = looked_at(bot)["ledger rows"]
    assert (found.ok, found.exit_code) == (False, 0)
    assert found.found == "1 of 2 cannot be read; the first: order o1: qty is 2 and quantity is 1"


def test_of_many_rows_the_newest_and_the_open_ones_are_looked_at(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.ledger.examine.NEWEST", 3)
    closed = [made(f"TRD-{n}", "1", n, client_order_id="c") for n in range(9) for made in (row, leave)]
    bot.ready(*closed, row("TRD-OLD", minute=-50, side="?"))
    found = looked_at(bot)["ledger rows"]
    assert found.found.startswith("1 of 4 cannot be read; the first: order p1/TRD-OLD/ENTRY/filled/-50: side '?'")


def test_words_that_are_no_known_status_are_listed_with_the_known_ones(bot: Bot) -> None:
    rows = [row("TRD-1", minute=n, status="closed") for n in range(2)]
    bot.ready(*rows, row("TRD-2", status="Done", client_order_id="c"), row(None, status=None))
    found = looked_at(bot)["statuses"]
    assert (found.ok, found.exit_code) == (False, 3)
    assert found.found == "not known, in 4 rows: '(empty)' (1), 'Done' (1), 'closed' (2)"
    assert "filled: filled, partially_filled; working: accepted," in found.do


def test_words_beside_others_that_are_known_are_only_a_warning(bot: Bot) -> None:
    bot.ready(row("TRD-1", status="closed"), row("TRD-2"))
    assert looked_at(bot)["statuses"].exit_code == 0


def test_filled_rows_without_ids_are_a_warning(bot: Bot) -> None:
    bot.ready(row("TRD-1"), row("TRD-2", status="new", client_order_id="c-1"))
    found = looked_at(bot)["ids of executions"]
    assert (found.ok, found.exit_code) == (False, 0)
    assert found.found == "exchange_order_id and client_order_id empty in all 1 filled rows"
    assert "cannot be recognised" in found.do


def test_rows_without_a_trade_id_are_counted(bot: Bot) -> None:
    bot.ready(row("TRD-1", client_order_id="c"), row(None, order_id="o1"), row(" ", order_id="o2"))
    found = looked_at(bot)["trade ids"]
    assert (found.ok, found.found) == (True, "2 filled rows without a trade id are left out")
    bot.db.run("UPDATE orders SET trade_id = NULL")
    found = looked_at(bot)["trade ids"]
    assert (found.ok, found.exit_code) == (False, 0)


def test_they_are_counted_with_one_statement(bot: Bot) -> None:
    app = bot.ready(row(None, order_id="o1"), row(None, order_id="o2", profile_id="p2"))
    seen: list[str] = []
    engine = bot.store.books._engine
    event.listen(engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    assert app.ledger.rows_without_trade(["p1"]) == 1
    assert sum("count" in statement.lower() for statement in seen) == 1


def test_a_map_without_ids_is_a_warning(bot: Bot) -> None:
    Form(without=frozenset({"exchange_order_id"})).attach(bot)
    initialise(bot.app())
    found = looked_at(bot)["ids of executions"]
    assert (found.ok, found.exit_code, found.found) == (False, 0, "no exchange_order_id or client_order_id")


def test_an_empty_order_id_is_a_warning(bot: Bot) -> None:
    Form(identity="TEXT").attach(bot)
    initialise(bot.app())
    bot.db.run("UPDATE deals SET id = NULL WHERE deal = :deal", {"deal": "TRD-1"})
    assert looked_at(bot)["order ids"].found == "order_id is empty in 2 of 5 rows"


@pytest.mark.parametrize("table", ["deals", "orders"])
def test_init_refuses_whole_numbers_as_order_ids_before_it_creates_anything(bot: Bot, table: str) -> None:
    if bot.db.is_sqlite:
        (bot.folder / "ledger.db").touch()
    bot.db.run(
        f"CREATE TABLE {table} (order_id INTEGER PRIMARY KEY, symbol TEXT, side TEXT, status TEXT, timestamp BIGINT,"
        " trade_id TEXT, qty TEXT)"
    )
    bot.ledger["orders_table"] = table
    with pytest.raises(ConfigurationError, match=r"is an integer|The column for order_id holds numbers") as refused:
        initialise(bot.app())
    assert "text" in refused.value.do
    assert inspect(bot.db.engine).get_table_names() == [table]
    if not bot.db.is_sqlite:  # ids in a column of numbers cannot even be looked up there
        return
    bot.ledger["state_url"] = f"sqlite:///{bot.folder / 'state.db'}"
    initialise(bot.app())
