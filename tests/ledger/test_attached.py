"""Somebody else's orders table: attached by a map, never altered, repaired in its own forms."""

from decimal import Decimal

import pytest
from sqlalchemy import inspect
from tests.ledger.attached import BOTH, COLUMNS, POSTGRES, SQLITE, TRADES, Form, schema_of
from tests.ledger.bot import Bot, at, decisions, only, pause, run, sold

from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError
from trueup.core.repair.slices import slices_of
from trueup.core.symbols import Symbols
from trueup.core.times import iso
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


@pytest.mark.parametrize(
    ("unit", "known"), [(1000, True), (1000, False), (1, True), (Decimal("0.001"), True), (Decimal("0.000001"), False)]
)
@pytest.mark.parametrize("kind", ["BIGINT", "NUMERIC(30,3)", "DOUBLE PRECISION"])
def test_times_in_columns_of_numbers_are_in_the_unit_of_the_tables_own(
    bot: Bot, kind: str, unit: int | Decimal, known: bool
) -> None:
    Form(at="BIGINT", more=(f"filled_at {kind}", f"created_at {kind}")).attach(bot)
    bot.db.run(f"UPDATE deals SET at = {int(at(0) / unit)} WHERE deal = 'TRD-1'")
    if known:
        bot.db.run("UPDATE deals SET filled_at = at, created_at = at")
    app = bot.init()
    pause(app)
    bot.sells(sold("X1", "0.3", trade_id="TRD-1"))
    assert len(only(run(app, apply=True)).inserted) == 1
    [added] = [found for found in bot.db.table("deals") if found["id"].startswith("BFILL-")]
    assert added["at"] == added["filled_at"] == int(at(10) / unit)
    assert abs(float(added["created_at"]) * float(unit) / app.clock.now_ms() - 1) < 0.01


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


WRITTEN = [
    ("2026-11-20 10:35:51", 0, "2026-01-02 03:10:00"),
    ("2026-11-20 10:35:51", 7, "2026-01-02 03:10:00.007"),
    ("2026-11-20T10:35:51Z", 0, "2026-01-02T03:10:00Z"),
    ("2026-11-20T10:35:51Z", 120, "2026-01-02T03:10:00.120Z"),
    ("2026-11-20 10:35:51.5", 500, "2026-01-02 03:10:00.5"),
    ("2026-11-20 10:35:51.123456", 120, "2026-01-02 03:10:00.120000"),
    ("2026-11-20 10:35:51+00:00", 0, "2026-01-02 03:10:00+00:00"),
    ("2026-11-20T10:35:51+0530", 0, "2026-01-02T08:40:00+0530"),
    ("20261120T103551Z", 7, "2026-01-02T03:10:00.007Z"),
    ("1767322800", 7, "1767323400.007"),
    ("1767322800", 0, "1767323400"),
]


@pytest.mark.parametrize(("theirs", "ms", "written"), WRITTEN, ids=lambda value: str(value).replace(":", ""))
def test_times_are_written_as_the_trades_own_rows_write_them(bot: Bot, theirs: str, ms: int, written: str) -> None:
    form = Form(at="TEXT", more=("done TEXT", "made TEXT"))
    form.attach(bot)
    bot.columns |= {"filled_at": "done", "created_at": "made"}
    early = theirs.replace("2026-11-20", "2026-01-02", 1).replace("20261120", "20260102").replace("T10", "T03")
    early = early.replace(" 10", " 03").replace("03:35", "03:05").replace("T0335", "T0305")
    bot.db.run("UPDATE deals SET at = :at, done = :at WHERE deal = 'TRD-1'", {"at": early})
    initialise(bot.app())
    app = bot.app()
    pause(app)
    bot.sells(sold("X1", "0.3", 10 + ms / 60_000, trade_id="TRD-1"))
    done = only(run(app, apply=True))
    [inserted] = bot.db.rows("SELECT * FROM deals WHERE venue_id = 'X1'")
    assert (inserted["at"], inserted["done"]) == (written, written)
    assert inserted["made"].endswith("Z")
    [audited] = [row["filled_at"] for row in done.audit if row["decision"] == "APPLIED"]
    assert audited == iso(at(10) + ms)
    assert [row.time_ms for row in app.ledger.trade_rows("TRD-1") if row.exchange_order_id == "X1"] == [at(10) + ms]


def test_an_attached_table_may_have_an_index_of_an_expression(bot: Bot) -> None:
    Form().attach(bot)
    bot.db.run("CREATE INDEX theirs ON deals (lower(id))")
    app = bot.init()
    pause(app)
    run(app)
