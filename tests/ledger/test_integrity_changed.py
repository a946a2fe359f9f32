"""Phases beside what somebody else did: rules that were changed or were there before, other tables, taken names."""

import pytest
from sqlalchemy.exc import IntegrityError
from tests.ledger.bot import Bot, row
from tests.ledger.test_integrity_rollout import GOOD, RULE_NAMES, applied, apply, became, rollback, states, validate

from trueup.core.errors import Refused
from trueup.core.integrity.phases import Stage, State, next_step
from trueup.service import integrity


def weaken(bot: Bot, rule: str = "chk_orders_action_lifecycle") -> None:
    """Let somebody put a rule of the same name in the place of ours that refuses nothing."""
    if bot.db.is_sqlite:
        bot.db.run(f"DROP TRIGGER IF EXISTS {rule}")
        bot.db.run(f"CREATE TRIGGER {rule} BEFORE INSERT ON orders WHEN 0 BEGIN SELECT 1; END")
    else:
        bot.db.run(f"ALTER TABLE orders DROP CONSTRAINT IF EXISTS {rule}")
        bot.db.run(f"ALTER TABLE orders ADD CONSTRAINT {rule} CHECK (true)")


def test_a_rule_that_somebody_changed_is_neither_validated_nor_said_to_hold(bot: Bot) -> None:
    app = applied(bot, GOOD)
    assert validate(app).standing.stage is Stage.VALIDATED
    weaken(bot)
    standing = app.integrity.standing()
    assert (standing.stage, standing.changed) == (Stage.PARTLY_APPLIED, ("chk_orders_action_lifecycle",))
    assert "changed since" in next_step(standing)[1]
    with pytest.raises(Refused, match="chk_orders_action_lifecycle was changed since"):
        validate(app)
    if bot.db.is_sqlite:
        for name in ("chk_orders_action_lifecycle", "chk_orders_action_lifecycle_update"):
            bot.db.run(f"DROP TRIGGER {name}")
    else:
        bot.db.run("ALTER TABLE orders DROP CONSTRAINT chk_orders_action_lifecycle")
    apply(app)
    assert validate(app).standing.stage is Stage.VALIDATED


def test_a_rule_of_somebody_elses_that_refuses_nothing_does_not_validate_rows(postgres_bot: Bot) -> None:
    app = postgres_bot.ready({**GOOD, "action": "HOLD"})
    for rule in sorted(RULE_NAMES):
        table = "trade_history" if "history" in rule else "orders"
        postgres_bot.db.run(f"ALTER TABLE {table} ADD CONSTRAINT {rule} CHECK (true)")
    integrity.take_snapshot(app, keep=True)
    apply(app)
    with pytest.raises(Refused, match="is broken by 1 of orders's rows"):
        validate(app)


def test_rules_on_the_table_that_was_attached_before_are_neither_said_of_another_nor_dropped_with_it(bot: Bot) -> None:
    applied(bot, GOOD)
    columns = (
        "order_id text, profile_id text, symbol text, side text, qty numeric, status text, timestamp bigint,"
        " trade_id text, action text"
    )
    bot.db.run(f"CREATE TABLE fills ({columns})")
    bot.db.run("INSERT INTO fills (order_id, profile_id, timestamp, trade_id) VALUES ('a', 'p1', 1, 'bad')")
    bot.ledger = {"orders_table": "fills"}
    other = bot.app()
    standing = other.integrity.standing()
    mine = {thing.name for thing in standing.things if thing.table == "fills"}
    assert mine <= set(standing.missing)
    assert standing.stage is not Stage.APPLIED
    with pytest.raises(Refused, match="is taken"):
        apply(other)
    rollback(other)
    with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
        bot.db.orders(row("bad"))


def test_a_partitioned_table_goes_all_the_way_once_its_indexes_are_built_by_hand(postgres_bot: Bot) -> None:
    bot = postgres_bot
    columns = (
        "order_id text, profile_id text, symbol text, side text, qty numeric, status text, timestamp bigint,"
        " trade_id text, action text"
    )
    bot.db.run(f"CREATE TABLE fills ({columns}) PARTITION BY RANGE (timestamp)")
    bot.db.run("CREATE TABLE fills_1 PARTITION OF fills FOR VALUES FROM (0) TO (9000000000000)")
    bot.ledger = {"orders_table": "fills"}
    app = bot.init()
    integrity.take_snapshot(app, keep=True)
    built = {"idx_orders_trade_id": "trade_id", "idx_orders_lifecycle": "profile_id, symbol, timestamp"}
    for name, on in built.items():
        with pytest.raises(Refused, match=f"{name} cannot be built concurrently"):
            apply(app)
        bot.db.run(f"CREATE INDEX {name} ON fills ({on})")
    assert apply(app).standing.stage is Stage.APPLIED
    with pytest.raises(IntegrityError, match="chk_orders_trade_id_format"):
        bot.db.run("INSERT INTO fills (order_id, profile_id, timestamp, trade_id) VALUES ('a', 'p1', 1, 'bad')")
    assert validate(app).standing.stage is Stage.VALIDATED
    assert rollback(app).standing.cut_short is None
    assert app.integrity.standing().cut_short is None
    bot.db.run("INSERT INTO fills (order_id, profile_id, timestamp, trade_id) VALUES ('a', 'p1', 1, 'bad')")


def test_a_name_that_something_else_has_is_refused_by_name(bot: Bot) -> None:
    app = bot.ready(GOOD)
    bot.db.run("CREATE INDEX idx_orders_lifecycle ON positions (symbol)")
    integrity.take_snapshot(app, keep=True)
    with pytest.raises(Refused, match="idx_orders_lifecycle is taken: the table positions"):
        apply(app)
    assert app.integrity.standing().cut_short == "apply"
    assert states(app)["idx_orders_lifecycle"] is State.MISSING
    bot.db.run("DROP INDEX idx_orders_lifecycle")
    bot.db.run("CREATE TABLE idx_orders_lifecycle (a INT)")
    with pytest.raises(Refused, match="idx_orders_lifecycle is taken"):
        apply(app)
    assert became(rollback(app))["idx_orders_lifecycle"] == "absent"
    bot.db.run("DROP TABLE idx_orders_lifecycle")
    apply(app)
    assert app.integrity.standing().stage is Stage.APPLIED
