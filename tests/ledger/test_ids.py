"""Invariant 2 (Once) for columns that do not keep ids as they are written: found, or refused with the reason."""

import pytest
from tests.ledger.attached import Form
from tests.ledger.bot import Bot, decisions, only, pause, run, sold

from trueup.core.errors import ConfigurationError

NAMES = ["exchange_order_id", "client_order_id"]
LONG = "12345678901234567890"


def attached(bot: Bot, name: str, kind: str, value: object = None) -> Bot:
    """Three trades of which the exit of the third has an id in a column of some kind."""
    without = frozenset({"exchange_order_id"})
    Form(more=(f"own_id {kind}",), without=without).attach(bot)
    bot.columns[name] = "own_id"
    bot.db.run("UPDATE deals SET own_id = :v WHERE id = 'o4'", {"v": value})
    bot.sells(sold("12345", "0.3", trade_id="TRD-1", client_order_id="12345"))
    return bot


def refused(bot: Bot, *words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        bot.app().ledger.rows_booking(["12345", LONG], ["12345", LONG], "bytelyst")
    assert all(word in str(error.value) for word in words)
    assert "text" in error.value.do
    [found] = [check for check in bot.app().setup.inspect() if check.name == "orders table"]
    assert found.ok == ("row" in words)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["REAL", "FLOAT", "DOUBLE PRECISION"])
def test_a_column_of_floats_is_refused(bot: Bot, name: str, kind: str) -> None:
    refused(attached(bot, name, kind, 12345), name, "12345.0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["", "BLOB"])
def test_numbers_in_an_untyped_column_are_refused_and_text_in_it_counts(sqlite_bot: Bot, name: str, kind: str) -> None:
    refused(attached(sqlite_bot, name, kind, 12345), name, "no type")
    sqlite_bot.db.run("UPDATE deals SET own_id = '12345' WHERE id = 'o4'")
    booked_once(sqlite_bot)


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["NUMERIC", "NUMERIC(20,2)", "BIGINT"])
def test_any_column_of_numbers_is_refused_on_postgres(postgres_bot: Bot, kind: str) -> None:
    refused(attached(postgres_bot, "exchange_order_id", kind, 12345), "12345.0")


@pytest.mark.parametrize("kind", ["BIGINT", "NUMERIC(20,0)"])
def test_what_a_column_of_whole_numbers_says_is_booked_counts_on_sqlite(sqlite_bot: Bot, kind: str) -> None:
    booked_once(attached(sqlite_bot, "exchange_order_id", kind, 12345))


def booked_once(bot: Bot) -> None:
    app = bot.init()
    pause(app)
    assert decisions(only(run(app, apply=True)))[0][1:] == ("NO_GO", "missing_fill_evidence_for_large_remainder")


@pytest.mark.parametrize("kind", ["INTEGER", "NUMERIC", "STRING"])
def test_an_id_that_sqlite_turned_into_a_float_is_refused(sqlite_bot: Bot, kind: str) -> None:
    bot = attached(sqlite_bot, "exchange_order_id", kind, LONG)
    with pytest.raises(ConfigurationError, match=r"o4 has 1\.23.*e\+19 as exchange_order_id"):
        bot.app().ledger.trade_rows("TRD-3")


@pytest.mark.parametrize("wanted", ["0012", "1e3", LONG])
def test_an_id_that_a_column_of_numbers_keeps_otherwise_is_not_looked_for(sqlite_bot: Bot, wanted: str) -> None:
    bot = attached(sqlite_bot, "exchange_order_id", "INTEGER", 12)
    with pytest.raises(ConfigurationError, match=wanted):
        bot.app().ledger.rows_booking([wanted], [], "bytelyst")
    assert bot.app().ledger.rows_booking(["12", "X1", "-"], [], "bytelyst") != []


def test_a_table_under_our_own_name_is_looked_at_too(sqlite_bot: Bot) -> None:
    bot = sqlite_bot
    bot.init()
    bot.db.run("ALTER TABLE orders RENAME TO kept")
    names = [found["name"] for found in bot.db.rows("PRAGMA table_info(kept)")]
    kinds = {"timestamp": "INTEGER", "exchange_order_id": "REAL"}
    columns = ", ".join(name + " " + kinds.get(name, "TEXT") for name in names)
    bot.db.run(f"CREATE TABLE orders ({columns})")
    with pytest.raises(ConfigurationError, match="exchange_order_id"):
        bot.app().ledger.open_trade_rows(["p1"])


def test_a_row_that_the_table_keeps_otherwise_than_it_was_written_is_not_written(sqlite_bot: Bot) -> None:
    ours = "AFTER INSERT ON deals WHEN NEW.id LIKE 'BFILL-%'"
    spoil = f"CREATE TRIGGER spoil {ours} BEGIN UPDATE deals SET amount = '9' WHERE id = NEW.id; END"
    Form(after=(spoil,)).attach(sqlite_bot)
    app = sqlite_bot.init()
    pause(app)
    rows = sqlite_bot.db.table("deals")
    sqlite_bot.sells(sold("X1", "0.3", trade_id="TRD-1"))
    [entry] = run(app, apply=True).profiles.values()
    assert isinstance(entry.error, ConfigurationError)
    assert "its qty is 9, not 0.3" in str(entry.error)
    assert sqlite_bot.db.table("deals") == rows
