"""`init`: what it lays down, what it leaves alone, and what it does to profiles."""

import pytest
from sqlalchemy import inspect
from tests.ledger.bot import Bot, row

from trueup.core.errors import ConfigurationError, TrueupError
from trueup.ledger import schema
from trueup.service.setup import initialise

OURS = {*schema.native.tables, *schema.own.tables, schema.VERSION_TABLE}


def indexes(bot: Bot) -> set[str]:
    if bot.db.is_sqlite:
        return {found["name"] for found in bot.db.rows("SELECT name FROM sqlite_master WHERE type = 'index'")}
    return {found["indexname"] for found in bot.db.rows("SELECT indexname FROM pg_indexes")}


def test_an_empty_database_gets_all_tables_with_their_keys_and_indexes(bot: Bot) -> None:
    report = initialise(bot.app())
    assert set(report.tables) == OURS - {schema.VERSION_TABLE}
    found = inspect(bot.db.engine)
    assert set(found.get_table_names()) == OURS
    for table in (*schema.native.tables.values(), *schema.own.tables.values()):
        assert {column["name"] for column in found.get_columns(table.name)} == set(table.c.keys())
        assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
        assert indexes(bot) >= {index.name for index in table.indexes}


def test_a_second_init_changes_nothing(bot: Bot) -> None:
    app = bot.ready(row("TRD-1", client_order_id="c-1"))
    before = {name: bot.db.table(name) for name in OURS}
    again = initialise(bot.app())
    assert (again.tables, again.profiles) == ((), ())
    assert {name: bot.db.table(name) for name in OURS} == before
    assert [check for check in app.setup.inspect() if not check.ok] == []


@pytest.mark.parametrize("name", [schema.AUDIT, "leases", "profiles", "orders", "positions"])
def test_a_table_that_was_dropped_is_made_again_by_init(bot: Bot, name: str) -> None:
    bot.ready(row("TRD-1"))
    bot.db.run(f"DROP TABLE {name}")
    assert initialise(bot.app()).tables == (name,)
    assert initialise(bot.app()).tables == ()


def test_profiles_are_added_and_changed_by_what_the_file_says(bot: Bot) -> None:
    bot.profiles = [{"id": "p1", "user_id": "u1", "managed_symbols": ["BTC/USD"], "allocated_capital": "100.5"}]
    assert initialise(bot.app()).profiles == ("p1",)
    bot.profiles[0]["allocated_capital"] = "100.50"
    assert initialise(bot.app()).profiles == ()
    bot.profiles[0]["managed_symbols"] = ["BTC/USD", "ETH/USD"]
    bot.profiles.append({"id": "p2"})
    assert initialise(bot.app()).profiles == ("p1", "p2")
    first, second = bot.app().ledger.profiles()
    assert (first.managed_symbols, str(first.allocated_capital.normalize())) == (("BTC/USD", "ETH/USD"), "100.5")
    assert (second.account, second.enabled, second.managed_symbols) == ("main", True, None)


def test_a_profile_that_was_disabled_in_the_database_stays_so_unless_the_file_says_otherwise(bot: Bot) -> None:
    bot.init()
    bot.db.run("UPDATE profiles SET enabled = :no", {"no": False})
    assert initialise(bot.app()).profiles == ()
    assert [p.enabled for p in bot.app().ledger.profiles()] == [False]
    bot.profiles[0]["enabled"] = True
    assert initialise(bot.app()).profiles == ("p1",)
    assert [p.enabled for p in bot.app().ledger.profiles()] == [True]


def test_a_profile_that_left_the_file_stays_in_the_database(bot: Bot) -> None:
    bot.init()
    bot.profiles = [{"id": "p2"}]
    initialise(bot.app())
    assert [p.profile_id for p in bot.app().ledger.profiles()] == ["p1", "p2"]


@pytest.mark.parametrize("name", ["alerts", "profiles", "leases", schema.AUDIT])
def test_a_table_of_somebody_else_under_a_name_of_ours_is_named_and_nothing_is_made(bot: Bot, name: str) -> None:
    if bot.db.is_sqlite:
        bot.folder.joinpath("ledger.db").touch()
    bot.db.run(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, said TEXT)")
    with pytest.raises(ConfigurationError) as refused:
        initialise(bot.app())
    assert name in str(refused.value)
    assert refused.value.do
    assert set(inspect(bot.db.engine).get_table_names()) == {name}


def test_two_inits_at_once_both_succeed(bot: Bot) -> None:
    from concurrent.futures import ThreadPoolExecutor

    apps = [bot.app() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(initialise, apps))
    assert sorted(len(report.tables) for report in made)[:3] == [0, 0, 0]
    assert set(inspect(bot.db.engine).get_table_names()) == OURS


def test_a_missing_sqlite_file_is_made_by_init_alone(sqlite_bot: Bot) -> None:
    app = sqlite_bot.app()
    for read in (app.ledger.profiles, app.journal.audit_exists, lambda: app.ledger.existing_ids(["x"])):
        with pytest.raises(ConfigurationError, match="no database at"):
            read()
    assert not (sqlite_bot.folder / "ledger.db").exists()
    initialise(app)
    assert sqlite_bot.db.value("PRAGMA journal_mode") == "wal"


def test_a_doctor_of_an_uninitialised_database_says_what_to_do(bot: Bot) -> None:
    if bot.db.is_sqlite:
        bot.folder.joinpath("ledger.db").touch()
    failed = [check for check in bot.app().setup.inspect() if not check.ok]
    assert {check.name for check in failed} >= {"orders table", "trueup's tables", "profiles table"}
    assert all("trueup init" in check.do for check in failed if check.name != "orders table")
    assert issubclass(ConfigurationError, TrueupError)
