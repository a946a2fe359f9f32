"""Invariants 3 (Conservation) and 6 (No-op) for columns that do not hold every decimal."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Double, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, REAL
from sqlalchemy.types import NullType
from tests.ledger.attached import Form
from tests.ledger.bot import Bot, decisions, only, pause, run, sold

from trueup.core.decimals import exactly, plain
from trueup.core.errors import ConfigurationError
from trueup.ledger.numbers import DOUBLE, EVERY_DECIMAL, SINGLE, NumberForm, number_form
from trueup.ledger.types import ExactDecimal
from trueup.service.undo import reapply, revert

FORMS = [NumberForm(bits=DOUBLE), NumberForm(bits=SINGLE), NumberForm(places=8), NumberForm(places=0), EVERY_DECIMAL]
quantities = st.decimals("1e-8", "1e15", places=18)


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(qty=quantities)
def test_what_is_held_never_exceeds_what_it_is_and_is_short_of_it_by_no_more_than_is_said(
    form: NumberForm, qty: Decimal
) -> None:
    held = form.held(qty)
    short = exactly(lambda: qty - held)()
    assert 0 <= short <= (form.cut(held) or 0)
    assert form.held(held) == held or not held


@pytest.mark.parametrize(
    ("qty", "form", "held"),
    [
        ("11111111100.8888887", FORMS[0], "11111111100.888887"), ("0.1", FORMS[0], "0.1"), ("3", FORMS[0], "3"),
        ("333333333.33333338", FORMS[0], "333333333.3333333"), ("0.3", FORMS[1], "0.3"),
        ("123456.789", FORMS[1], "123456.78"), ("0.123456789", FORMS[2], "0.12345678"), ("1.9", FORMS[3], "1"),
    ],
)  # fmt: skip
def test_the_largest_number_that_a_column_holds(qty: str, form: NumberForm, held: str) -> None:
    assert plain(form.held(Decimal(qty))) == held


def test_how_each_type_holds_numbers() -> None:
    postgres = [DOUBLE_PRECISION(), REAL(), Numeric(20, 8), Numeric(), BigInteger(), Text(), ExactDecimal()]
    assert [number_form(kind, "postgresql") for kind in postgres] == [
        NumberForm(bits=DOUBLE), NumberForm(bits=SINGLE), NumberForm(places=8), EVERY_DECIMAL, NumberForm(places=0),
        EVERY_DECIMAL, EVERY_DECIMAL,
    ]  # fmt: skip
    sqlite = [Double(), REAL(), Numeric(20, 8), Integer(), Text(), NullType(), ExactDecimal()]
    assert [number_form(kind, "sqlite").bits for kind in sqlite] == [DOUBLE] * 4 + [None] * 3


def ledger(bot: Bot, kind: str, *entries: str) -> None:
    """An attached table with the entries of one trade, and none of the usual rows."""
    form = Form(qty=kind)
    form.attach(bot)
    bot.db.run("DELETE FROM deals WHERE deal <> 'TRD-1' OR id = 'o1'")
    amounts = [str(qty) if isinstance(qty := form.number(given), Decimal) else qty for given in entries]
    bot.db.run(f"UPDATE deals SET amount = {amounts[0]}")
    for number, amount in enumerate(amounts[1:]):
        bot.db.insert("deals", [{**bot.db.table("deals")[0], "id": f"more{number}"}])
        bot.db.run(f"UPDATE deals SET amount = {amount} WHERE id = 'more{number}'")


BIG = ("1234567890.1234567", "9876543210.765432")


@pytest.mark.parametrize("entries", [BIG, ("1234567890.1234567", "9876543210.765431"), ("1000000000",)])
@pytest.mark.parametrize("kind", ["DOUBLE PRECISION", "NUMERIC(40,8)"])
def test_a_large_trade_is_closed_without_exceeding_it_and_a_second_pass_writes_nothing(
    bot: Bot, kind: str, entries: tuple[str, ...]
) -> None:
    ledger(bot, kind, *entries)
    app = bot.init()
    pause(app)
    entered = sum((Decimal(qty) for qty in entries), Decimal(0))
    bot.sells(*(sold(f"X{n}", plain(entered * 3 / 10), 10 + n, trade_id="TRD-1") for n in range(3)),
              sold("X9", "99999999999", 30, trade_id="TRD-1"))  # fmt: skip
    done = only(run(app, apply=True))
    assert {reason for *_, reason in decisions(done)} == {"inserted"}
    assert done.validation.unexpected == ()
    rows = bot.db.table("deals")
    exits = sum(Decimal(str(found["amount"])) for found in rows if found["leg"] == "EXIT")
    assert 0 <= entered - exits < Decimal("1e-4")
    assert decisions(only(run(app, apply=True))) == []
    revert(app, done.batch_id, "wrong")
    reapply(app, done.batch_id, "right")
    assert bot.db.table("deals") == rows


def test_an_order_that_is_booked_in_part_leaves_the_rest_open(bot: Bot) -> None:
    ledger(bot, "DOUBLE PRECISION", "1000000000")
    app = bot.init()
    pause(app)
    bot.sells(sold("X1", "333333333.33333338", trade_id="TRD-1"))
    for _ in range(2):
        entry = only(run(app, apply=True))
        assert "missing_fill_evidence_for_large_remainder" in {found["reason"] for found in entry.final_rows}
    assert [found["amount"] for found in bot.db.table("deals") if found["leg"] == "EXIT"] == [333333333.3333333]


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["NUMERIC(20,2)", "BIGINT"])
def test_a_column_with_too_few_places_refuses_the_repair(postgres_bot: Bot, kind: str) -> None:
    ledger(postgres_bot, kind, "1")
    app = postgres_bot.init()
    pause(app)
    rows = postgres_bot.db.table("deals")
    postgres_bot.sells(sold("X1", "0.555", trade_id="TRD-1"))
    [entry] = run(app, apply=True).profiles.values()
    assert isinstance(entry.error, ConfigurationError)
    assert "0.555" in str(entry.error)
    assert postgres_bot.db.table("deals") == rows
