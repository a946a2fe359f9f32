"""Giving trade ids on real databases: what is given, what is left, taken back, decided by hand, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program import Program
from tests.integrity.lifecycles import a_world
from tests.integrity.playing import Place, a_place
from tests.ledger.attached import Form
from tests.ledger.bot import Bot, a_bot, leave, row

from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.service import integrity, trade_ids, undo
from trueup.service.integrity_report import report
from trueup.service.trade_ids import ByHand, IdRequest, backfill, by_hand, revert

PAIR = (row(None, order_id="e"), leave(None, order_id="x"))
FORMS = ("orders", "trade_history", "positions")


@pytest.fixture
def place(tmp_path: Path, ledger_url: str) -> Iterator[Place]:
    with a_place(tmp_path, ledger_url) as made:
        yield made


def ready(place: Place, *rows: dict[str, Any]) -> Place:
    """Put rows into the ledger, and the rules into force."""
    place.bot.db.orders(*rows)
    integrity.take_snapshot(place.app, keep=True)
    integrity.apply(place.app, wait_s=10.0, dry_run=False)
    return place


def ids(bot: Bot) -> dict[str, str | None]:
    return {found["order_id"]: found["trade_id"] for found in bot.db.table("orders")}


def test_a_dry_run_changes_nothing_and_its_plan_is_what_is_applied(place: Place) -> None:
    ready(place, *PAIR)
    before = [place.bot.db.table(name) for name in FORMS]
    plan = backfill(place.app, IdRequest())
    assert plan.dry_run
    assert [place.bot.db.table(name) for name in FORMS] == before
    assert not [found for found in place.app.journal.audit_rows() if found["decision"] == "TRADE_ID_SET"]
    given = backfill(place.app, IdRequest(apply=True, plan=plan.plan_hash))
    assert given.plan_hash == plan.plan_hash
    [name] = set(ids(place.bot).values())
    assert name == plan.namings[0].trade_id
    assert backfill(place.app, IdRequest(apply=True)).batch_id is None


def test_a_plan_that_is_not_the_one_reviewed_is_refused(place: Place) -> None:
    ready(place, *PAIR)
    plan = backfill(place.app, IdRequest()).plan_hash
    place.bot.db.orders(row(None, "1", 5, order_id="f"), leave(None, "1", 6, order_id="y"))
    with pytest.raises(Refused, match="not the one reviewed"):
        backfill(place.app, IdRequest(apply=True, plan=plan))
    assert set(ids(place.bot).values()) == {None}


def test_nothing_is_given_before_the_rules_are_in_force(place: Place) -> None:
    place.bot.db.orders(*PAIR)
    with pytest.raises(Refused, match="not complete"):
        backfill(place.app, IdRequest(apply=True))
    assert backfill(place.app, IdRequest()).named_rows == 2


def test_what_is_given_is_audited_and_taken_back_by_its_batch_twice_the_same(place: Place) -> None:
    ready(place, *PAIR, row(None, "2", 3, order_id="open"), row(" ", "1", 5, order_id="blank", status="canceled"))
    given = backfill(place.app, IdRequest(apply=True))
    assert given.blanks == {"orders": 1}
    assert ids(place.bot)["blank"] is None
    batch = given.batch_id or ""
    said = [found for found in place.app.journal.audit_rows(batch) if found["decision"] == "TRADE_ID_SET"]
    assert sorted(str(found["backfill_order_id"]) for found in said) == ["blank", "e", "x"]
    taken = revert(place.app, batch, "wrong")
    assert (taken.changed, taken.unchanged, taken.kept) == (2, 0, 1)
    assert set(ids(place.bot).values()) == {None}
    assert revert(place.app, batch, "again").as_json() == {
        "dry_run": False, "batch_id": batch, "changed": 0, "unchanged": 2, "kept_blank_to_null": 1,
    }  # fmt: skip
    from trueup.core.audit import verify

    assert verify(place.app.journal.audit_rows()).ok
    assert backfill(place.app, IdRequest(apply=True)).named_rows == 2


def test_the_history_of_a_trade_that_got_its_id_is_told_and_emptied_when_it_is_taken_back(place: Place) -> None:
    ready(place, *PAIR)
    plan = backfill(place.app, IdRequest())
    assert not place.bot.db.table("trade_history")
    batch = backfill(place.app, IdRequest(apply=True)).batch_id or ""
    [told] = place.bot.db.table("trade_history")
    assert (told["trade_id"], told["profile_id"]) == (plan.namings[0].trade_id, "p1")
    assert (float(told["entry_qty"]), float(told["exit_qty"])) == (1, 1)
    assert not report(place.app).counts
    assert integrity.validate(place.app, wait_s=10.0, dry_run=False)
    revert(place.app, batch, "wrong")
    [told] = place.bot.db.table("trade_history")
    assert (float(told["entry_qty"]), float(told["exit_qty"]), told["closed_at"]) == (0, 0, None)
    backfill(place.app, IdRequest(apply=True))
    [told] = place.bot.db.table("trade_history")
    assert (float(told["entry_qty"]), told["closed_at"] is not None) == (1, True)


def test_a_batch_of_ids_is_listed_as_what_it_is_and_a_revert_of_bookings_points_to_its_own(place: Place) -> None:
    ready(place, *PAIR, row(" ", "1", 5, order_id="blank", status="canceled"))
    batch = backfill(place.app, IdRequest(apply=True)).batch_id or ""
    [listed] = place.app.journal.batches()
    assert (listed.batch_id, listed.state, listed.rows) == (batch, "applied", 2)
    with pytest.raises(Refused, match="gave trade ids") as told:
        undo.revert(place.app, batch, "wrong")
    assert f"integrity backfill --revert {batch} " in told.value.do
    with pytest.raises(UnknownName) as unknown:
        undo.revert(place.app, batch[:-1], "wrong")
    assert batch not in str(unknown.value)
    revert(place.app, batch, "wrong")
    assert [found.state for found in place.app.journal.batches()] == ["reverted"]


def test_the_history_that_the_bot_wrote_is_left_as_it_is(place: Place) -> None:
    mine = {"id": "h", "profile_id": "p1", "trade_id": "TRD-1", "symbol": "BTC/USD", "entry_qty": 7, "fees": 3}
    place.bot.db.insert("trade_history", [mine])
    ready(place, row("TRD-1", order_id="e"), leave(None, order_id="x", client_order_id="bytelyst-p1-TRD-1-exit"))
    before = place.bot.db.table("trade_history")
    batch = backfill(place.app, IdRequest(apply=True)).batch_id or ""
    assert ids(place.bot)["x"] == "TRD-1"
    assert place.bot.db.table("trade_history") == before
    revert(place.app, batch, "wrong")
    assert place.bot.db.table("trade_history") == before


def test_a_row_that_changed_since_is_not_taken_back(place: Place) -> None:
    batch = backfill(ready(place, *PAIR).app, IdRequest(apply=True)).batch_id or ""
    place.bot.db.run("UPDATE orders SET trade_id = 'TRD-other' WHERE order_id = 'x'")
    with pytest.raises(Refused, match="x changed since"):
        revert(place.app, batch, "wrong")
    assert ids(place.bot)["e"] is not None


def test_blank_ids_become_null_in_both_tables_and_a_blank_row_of_the_bot_gets_its_id(place: Place) -> None:
    told = {"id": "h", "profile_id": "p1", "trade_id": "\t", "symbol": "BTC/USD"}
    place.bot.db.insert("trade_history", [told])
    ready(place, {**PAIR[0], "trade_id": "  "}, PAIR[1], row("", order_id="m", source="MANUAL", symbol="ETH/USD"))
    given = backfill(place.app, IdRequest(apply=True))
    assert not given.left
    assert given.blanks == {"orders": 1, "trade_history": 1}
    found = ids(place.bot)
    assert found["e"] == found["x"] is not None
    assert found["m"] is None
    assert place.bot.db.value("SELECT trade_id FROM trade_history WHERE id = 'h'") is None


def test_a_row_that_the_bot_changed_while_it_was_decided_on_is_left(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(place, *PAIR)
    real = trade_ids._give

    def meanwhile(*given: Any) -> None:
        place.bot.db.run("UPDATE orders SET qty = '2', quantity = '2' WHERE order_id = 'x'")
        real(*given)

    monkeypatch.setattr(trade_ids, "_give", meanwhile)
    report = backfill(place.app, IdRequest(apply=True))
    assert report.named_rows == 0
    assert {item.why for item in report.left} == {"changed_meanwhile"}
    assert set(ids(place.bot).values()) == {None}


def test_a_row_that_another_rule_refuses_is_told_by_the_rules_name(place: Place) -> None:
    place.bot.db.orders({**row("TRD-9", order_id="w", symbol="ETH/USD"), "client_order_id": None})
    ready(place, *PAIR)
    place.bot.db.run("DELETE FROM orders WHERE order_id = 'w'")
    with pytest.raises(Refused, match="not of the form"):
        by_hand(place.app, ByHand(("e=abc",), (), "because"))


def test_another_run_on_the_account_is_waited_for_or_refused(place: Place) -> None:
    ready(place, *PAIR)
    with place.app.leases.hold("account:main", 0), pytest.raises(Refused, match="lease_held"):
        backfill(place.bot.app(), IdRequest(apply=True))


@pytest.mark.parametrize(
    ("assign", "what"),
    [
        ("e=TRD-of-p2", "a trade of profile p2"), ("e=TRD-eth", "several symbols"), ("x=TRD-1", "would have left"),
        ("e=trd-1", "not of the form"), ("has=TRD-1", "has the trade id"), ("dead=TRD-1", "canceled"),
        ("e=TRD-over", "all of the trade had left"), ("odd=TRD-1", "on the side of the trade's entry"),
    ],
)  # fmt: skip
def test_what_a_person_decides_breaks_no_trade(place: Place, assign: str, what: str) -> None:
    others = (
        row("TRD-of-p2", profile_id="p2", order_id="p2"), row("TRD-eth", symbol="ETH/USD", order_id="eth"),
        row("TRD-1", "0.5", order_id="has"), row(None, order_id="dead", status="canceled"),
        row("TRD-over", "1", -9, order_id="over"), leave("TRD-over", "1", -8, order_id="left"),
        leave(None, "0.5", 7, order_id="odd", side="buy"),
    )  # fmt: skip
    ready(place, *PAIR, *others)
    with pytest.raises(Refused, match=what):
        by_hand(place.app, ByHand((assign,), (), "because"))
    assert ids(place.bot)["e"] is None


def test_a_person_gives_an_id_or_says_that_a_row_is_not_the_bots_and_it_is_taken_back(place: Place) -> None:
    ready(place, *PAIR, row(None, "1", 5, order_id="m"))
    batch = by_hand(place.app, ByHand(("e=TRD-7", "x=TRD-7"), ("m",), "seen at the venue")).batch_id or ""
    assert ids(place.bot) == {"e": "TRD-7", "x": "TRD-7", "m": None}
    assert place.bot.db.value("SELECT source FROM orders WHERE order_id = 'm'") == "MANUAL"
    assert "blank_trade_id" not in report(place.app).counts
    revert(place.app, batch, "mistaken")
    assert set(ids(place.bot).values()) == {None}
    assert place.bot.db.value("SELECT source FROM orders WHERE order_id = 'm'") == "BOT"
    with pytest.raises(UnknownName):
        by_hand(place.app, ByHand(("nobody=TRD-7",), (), "because"))
    place.bot.db.orders(row(None, profile_id="stranger", order_id="s", source="BOT"))
    with pytest.raises(Refused, match="'stranger', which trueup does not know") as refused:
        by_hand(place.app, ByHand((), ("s",), "because"))
    assert "trueup.toml" in refused.value.do
    with pytest.raises(ConfigurationError, match="reason"):
        by_hand(place.app, ByHand((), ("m",), " "))


def test_a_blank_id_that_becomes_a_real_one_is_not_told_as_one_that_becomes_null(place: Place) -> None:
    entry, left = PAIR
    blank = row(" ", "1", 5, order_id="blank", status="canceled")
    ready(place, {**entry, "trade_id": "  "}, {**left, "trade_id": "\t"}, blank)
    plan = backfill(place.app, IdRequest())
    assert (plan.named_rows, plan.blanks["orders"]) == (2, 1)
    given = backfill(place.app, IdRequest(apply=True, plan=plan.plan_hash))
    assert (given.named_rows, given.blanks) == (2, {"orders": 1})


def test_a_blank_id_of_rows_that_cannot_be_told_apart_is_left_and_the_backfill_ends(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade_ids, "ROWS_AT_ONCE", 2)
    with a_bot(tmp_path, ledger_url) as bot:
        app = Form(identity="TEXT").attach(bot).init()
        written = [
            (None, " "),
            ("twin", " "),
            ("twin", " "),
            ("like", " "),
            ("like", "  "),
            *((f"a{n}", "") for n in range(4)),
        ]
        for order_id, trade_id in written:
            bot.db.run(
                "INSERT INTO deals (id, deal, bot, pair, state) VALUES (:id, :deal, 'p1', 'ETH/USD', 'canceled')",
                {"id": order_id, "deal": trade_id},
            )
        blank = next(item for item in integrity.take_snapshot(app, keep=True).baseline.breaking if item.total)
        assert "(no id)" in blank.samples
        integrity.apply(app, wait_s=10.0, dry_run=False)
        given = backfill(app, IdRequest(apply=True))
        assert given.blanks == {"orders": 6}
        assert sorted(item.row_id for item in given.blanks_left) == ["", "twin", "twin"]
        assert given.exit_code == 1
        assert bot.db.value("SELECT count(*) FROM deals WHERE trim(deal) = ''") == 3
        said = Program(bot)("integrity", "backfill", "--apply")
        assert said.code == 1
        assert "left for a person: 3 blank ids" in said.out
        assert all(name in said.out for name in ("orders:(no id)", "orders:twin"))
        with pytest.raises(Refused, match="2 orders twin"):
            by_hand(app, ByHand((), ("twin",), "because"))


def test_a_column_that_takes_no_null_is_said_beforehand_and_what_was_written_before_is_not_denied(
    tmp_path: Path, ledger_url: str
) -> None:
    with a_bot(tmp_path, ledger_url) as bot:
        bot.ledger = {"orders_table": "deals"}
        if bot.db.is_sqlite:
            (bot.folder / "ledger.db").touch()
        bot.db.run(
            "CREATE TABLE deals (order_id TEXT PRIMARY KEY, profile_id TEXT, symbol TEXT, side TEXT, qty TEXT,"
            " status TEXT, timestamp BIGINT, action TEXT, source TEXT, client_order_id TEXT, trade_id TEXT NOT NULL)"
        )
        app = bot.init()
        names = ("order_id", "profile_id", "symbol", "side", "qty", "status", "timestamp", "action", "source")
        for made in (*PAIR, row(None, order_id="dead", status="canceled")):
            bot.db.insert("deals", [{**{name: made[name] for name in names}, "trade_id": ""}])
        integrity.take_snapshot(app, keep=True)
        integrity.apply(app, wait_s=10.0, dry_run=False)
        for apply in (False, True):
            with pytest.raises(Refused) as refused:
                backfill(app, IdRequest(apply=apply))
            assert "takes no NULL" in refused.value.do
            assert "Nothing" not in refused.value.what
        assert bot.db.value("SELECT count(*) FROM deals WHERE trade_id LIKE 'TRD-%'") == 2
        [listed] = Program(bot)("backfill", "list", "--format", "json").json["batches"]
        assert listed["batch_id"].startswith("IDS-")


def test_blank_ids_of_one_key_in_two_tables_are_counted_once_each(place: Place) -> None:
    ready(place, row(" ", order_id="1", status="canceled"))
    place.bot.db.run(
        "DROP TRIGGER IF EXISTS chk_trade_history_trade_id_not_blank"
        if place.bot.db.is_sqlite
        else "ALTER TABLE trade_history DROP CONSTRAINT chk_trade_history_trade_id_not_blank"
    )
    place.bot.db.insert("trade_history", [{"id": "1", "profile_id": "p1", "trade_id": " "}])
    integrity.apply(place.app, wait_s=10.0, dry_run=False)
    assert backfill(place.app, IdRequest(apply=True)).blanks == {"orders": 1, "trade_history": 1}


def test_what_a_person_would_decide_and_take_back_can_be_seen_before_it_is_written(place: Place) -> None:
    ready(place, *PAIR, row(" ", "1", 5, order_id="m"))
    program = Program(place.bot)
    decided = ("integrity", "backfill", "--assign", "e=TRD-7", "--manual", "m")

    def kept() -> list[Any]:
        return [place.bot.db.table(name) for name in FORMS]

    before = kept()
    dry = program(*decided, "--dry-run", "--format", "json").json
    assert (dry["dry_run"], dry["batch_id"], dry["named_rows"], dry["manual"]) == (True, None, 1, ["m"])
    said = program(*decided, "--dry-run")
    assert (said.code, "would be marked as not the bot's: m" in said.out, "--plan" in said.out) == (0, True, False)
    assert kept() == before
    assert program("integrity", "backfill", "--assign", "e=bad", "--dry-run").code == 1
    assert program(*decided).code == 2
    done = program(*decided, "--reason", "seen")
    assert "1 row got a trade id; 1 blank id became NULL" in done.out
    assert "1 row was marked as not the bot's: m" in done.out
    given = kept()
    assert given != before
    [batch] = {item["batch_id"] for item in place.app.journal.audit_rows()}
    dry = program("integrity", "backfill", "--revert", batch, "--dry-run", "--format", "json").json
    assert (dry["dry_run"], dry["changed"]) == (True, 2)
    assert "would be taken back: 2 rows" in program("integrity", "backfill", "--revert", batch, "--dry-run").out
    assert kept() == given
    assert program("integrity", "backfill", "--revert", batch, "--reason", "no").code == 0
    assert ids(place.bot) == {"e": None, "x": None, "m": None}


def test_seeded_lifecycles_get_on_the_database_what_the_core_gives_them(place: Place) -> None:
    from tests.integrity.lifecycles import planned

    integrity.take_snapshot(place.app, keep=True)
    integrity.apply(place.app, wait_s=10.0, dry_run=False)
    for seed in range(12):
        world = a_world(seed)
        rows = [{name: value for name, value in given.items() if name != "lost"} for given in world.rows]
        place.fill({"orders": rows})
        wanted = {
            found.order_id: naming.trade_id
            for plan in planned(world).values() for naming in plan.namings for found in naming.rows
        }  # fmt: skip
        backfill(place.app, IdRequest(apply=True))
        had = {given["order_id"]: given["trade_id"] for given in rows}
        assert ids(place.bot) == {**had, **wanted}, seed


def test_the_command_gives_lists_and_takes_back(place: Place) -> None:
    ready(place, *PAIR, row(None, "2", 5, order_id="open", symbol="ETH/USD"))
    program = Program(place.bot)
    plan = program("integrity", "backfill", "--format", "json")
    assert plan.code == 1
    assert plan.json["left_counts"] == {"lifecycle_open": 1}
    stale = program("integrity", "backfill", "--apply", "--plan", "0" * 64)
    assert (stale.code, stale.out) == (1, "")
    done = program("integrity", "backfill", "--apply", "--plan", plan.json["plan_hash"], "--format", "json")
    assert done.code == 1
    assert done.json["named_rows"] == 2
    hand = program("integrity", "backfill", "--assign", "open=TRD-8", "--reason", "mine", "--format", "json")
    assert hand.code == 0
    assert program("integrity", "backfill", "--apply").code == 0
    back = program("integrity", "backfill", "--revert", done.json["batch_id"], "--reason", "no", "--format", "json")
    assert back.json["changed"] == 2
    assert ids(place.bot) == {"e": None, "x": None, "open": "TRD-8"}
    for wrong in (
        ("--apply", "--dry-run"),
        ("--plan", "x"),
        ("--apply", "--manual", "e"),
        ("--revert", "IDS-0", "--reason", "r"),
    ):
        assert program("integrity", "backfill", *wrong).code == 2
