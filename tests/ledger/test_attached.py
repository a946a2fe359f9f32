"""Somebody else's orders table: attached by a map, never altered, repaired in its own forms."""

import pytest
from sqlalchemy import inspect
from tests.ledger.attached import BOTH, COLUMNS, POSTGRES, SQLITE, TRADES, Form, schema_of
from tests.ledger.bot import Bot, at, decisions, only, pause, run, sold

from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError
from trueup.core.repair.slices import slices_of
from trueup.core.symbols import Symbols
from trueup.service.setup import initialise
from trueup.service.undo import reapply, revert

CASES = [
    *(pytest.param("sqlite_bot", form, id=f"sqlite-{name}") for name, form in {**BOTH, **SQLITE}.items()),
    *(
        pytest.param("postgres_bot", form, id=f"postgres-{name}", marks=pytest.mark.postgres)
        for name, form in {**BOTH, **POSTGRES}.items()
    ),
]
EVIDENCE = (
    sold("X1", "0.3", trade_id="TRD-1"),
    sold("X2", "3", side="buy", trade_id="TRD-2"),
)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Bot:
    name, form = request.param
    return form.attach(request.getfixturevalue(name))


each_form = pytest.mark.parametrize(
    "world", [pytest.param(c.values, id=c.id, marks=c.marks) for c in CASES], indirect=True
)


@each_form
def test_theirs_is_attached_read_repaired_taken_back_and_never_altered(world: Bot) -> None:
    theirs = inspect(world.db.engine).get_table_names()
    shape, rows = schema_of(world.db, *theirs), world.db.table("deals")
    made = initialise(world.app()).tables
    app = world.app()
    pause(app)
    assert initialise(app).tables == ()
    assert not set(made) & {*theirs, "orders", "positions", "trade_history", "capital_ledger"}

    slices = slices_of(app.ledger.open_trade_rows(["p1"]), Symbols())
    found = [(s.trade_id, plain(s.signed_open), s.newest_ms, s.defect) for s in slices if s.is_open]
    assert found == [("TRD-1", "0.3", at(1), None), ("TRD-2", "-3", at(2), None)]

    world.sells(*EVIDENCE)
    assert only(run(app)).error is None
    assert (schema_of(world.db, *theirs), world.db.table("deals")) == (shape, rows)

    done = only(run(app, apply=True))
    assert decisions(done) == [("TRD-1", "APPLIED", "inserted"), ("TRD-2", "APPLIED", "inserted")]
    assert done.validation.unexpected == ()
    applied = world.db.table("deals")
    added = [found for found in applied if found["id"].startswith("BFILL-")]
    assert [found for found in applied if found not in added] == rows
    assert {form_of(found) for found in added} <= {form_of(found) for found in rows}
    assert decisions(only(run(app, apply=True))) == []

    assert len(revert(app, done.batch_id, "wrong").changed) == 2
    reverted = world.db.table("deals")
    assert [{**found, "state": "filled"} for found in reverted] == applied
    assert [found["id"] for found in reverted if found["state"] == "canceled"] == [found["id"] for found in added]
    assert len(reapply(app, done.batch_id, "right").changed) == 2
    assert world.db.table("deals") == applied
    assert schema_of(world.db, *theirs) == shape


def form_of(found: dict[str, object]) -> tuple[type, ...]:
    kinds = tuple(type(found[name]) for name in ("amount", "at", "state"))
    return tuple(float if kind is int and name == 0 else kind for name, kind in enumerate(kinds))


def test_a_column_that_must_be_filled_and_has_no_default_refuses_the_repair_and_keeps_everything(bot: Bot) -> None:
    form = Form(more=("desk TEXT NOT NULL",), extra={"desk": "A"})
    app = form.attach(bot).init()
    pause(app)
    bot.sells(*EVIDENCE)
    rows = bot.db.table("deals")
    for apply in (False, True):
        [entry] = run(app, apply=apply).profiles.values()
        assert isinstance(entry.error, ConfigurationError)
        assert "desk" in str(entry.error)
        assert entry.exit_code == 2
    assert bot.db.table("deals") == rows


def test_a_unique_constraint_of_theirs_that_keeps_a_row_out_is_an_error_and_no_silent_skip(bot: Bot) -> None:
    app = Form(after=("CREATE UNIQUE INDEX one ON deals (deal, leg) WHERE leg = 'EXIT'",)).attach(bot).init()
    pause(app)
    bot.sells(sold("X1", "0.04", trade_id="TRD-1"), sold("X2", "0.06", 11, trade_id="TRD-1"))
    rows = bot.db.table("deals")
    [entry] = run(app, apply=True).profiles.values()
    assert isinstance(entry.error, ConfigurationError)
    assert "unique" in str(entry.error).lower()
    assert bot.db.table("deals") == rows


@pytest.mark.parametrize("name", ["positions", "trade_history", "capital_ledger"])
def test_a_table_of_theirs_under_a_derived_name_is_left_alone(bot: Bot, name: str) -> None:
    Form().attach(bot)
    bot.db.run(f"CREATE TABLE {name} (symbol TEXT, held TEXT)")
    bot.db.run(f"INSERT INTO {name} VALUES ('BTC/USD', '0.3')")
    app = bot.init()
    pause(app)
    bot.sells(*EVIDENCE)
    assert len(only(run(app, apply=True)).inserted) == 2
    assert bot.db.table(name) == [{"symbol": "BTC/USD", "held": "0.3"}]


def test_a_missing_table_names_the_nearest_one(bot: Bot) -> None:
    Form().attach(bot).init()
    bot.ledger["orders_table"] = "deal"
    with pytest.raises(ConfigurationError, match="no table 'deal'") as error:
        bot.app().ledger.open_trade_rows(["p1"])
    assert "deals" in error.value.do


@pytest.mark.parametrize("ours", ["qty", "trade_id", "status"])
def test_a_missing_column_is_named(bot: Bot, ours: str) -> None:
    Form().attach(bot).init()
    del bot.columns[ours]
    with pytest.raises(ConfigurationError, match=ours) as error:
        bot.app().ledger.open_trade_rows(["p1"])
    assert COLUMNS[ours] in error.value.do
    bot.columns[ours] = "nowhere"
    with pytest.raises(ConfigurationError, match="nowhere"):
        bot.app().ledger.open_trade_rows(["p1"])


def test_a_table_without_profiles_needs_a_single_profile(bot: Bot) -> None:
    Form(without=frozenset({"profile_id"})).attach(bot)
    bot.profiles.append({"id": "p2"})
    with pytest.raises(ConfigurationError, match="profile_id"):
        bot.init()


def test_all_rows_are_in_the_table_that_is_asked(bot: Bot) -> None:
    app = Form().attach(bot).init()
    assert len(app.ledger.trade_rows("TRD-1")) == 2
    assert app.ledger.existing_ids([f"o{n}" for n in range(9)]) == {f"o{n}" for n in range(len(TRADES))}
    assert {r.order_id for r in app.ledger.rows_booking(["V0", "o1"], [], "bytelyst")} == {"o0", "o1"}


def test_an_attached_table_may_have_an_index_of_an_expression(bot: Bot) -> None:
    Form().attach(bot)
    bot.db.run("CREATE INDEX theirs ON deals (lower(id))")
    app = bot.init()
    pause(app)
    run(app)
