import pytest
from tests.cli.program import Program
from tests.ledger.bot import Bot, leave, row, sold


def test_shows_a_line_a_break_with_the_quantities(program: Program) -> None:
    answer = program("check")
    assert answer.code == 1
    lines = answer.out.splitlines()
    ghost = next(line for line in lines if "ghost_position" in line and "ETH/USD" in line)
    assert ghost.split()[:6] == ["ghost_position", "ETH/USD", "2", "0", "p1", "TRD-LOST"]
    missing = next(line for line in lines if line.strip().startswith("missing_in_db"))
    assert "v-1" in missing
    assert lines[0].startswith("account main")
    assert "coverage: positions complete" in answer.out
    assert "MISMATCH: 3 breaks (2 ghost_position, 1 missing_in_db), 0 unknown" in answer.out
    assert lines[-1].endswith("trueup backfill run --dry-run")
    assert not answer.err


def test_is_0_on_books_that_agree(bot: Bot) -> None:
    bot.venue()
    bot.ready()
    answer = Program(bot)("check")
    assert answer.code == 0
    assert "no break" in answer.out
    assert answer.out.splitlines()[-1] == "OK: 0 breaks, 0 unknown"


def test_says_how_many_rows_have_no_trade_id_and_that_is_no_break(bot: Bot) -> None:
    bot.venue()
    bot.profiles.append({"id": "p2"})
    others = [row(None, order_id="o3", status="new"), row(None, order_id="o4", profile_id="p2")]
    bot.ready(row(None, order_id="o1"), row("  ", order_id="o2", status="Partially Filled"), *others)
    program = Program(bot)
    answer = program("check", "--profile", "p1")
    assert answer.code == 0
    assert "note: 2 filled rows without a trade id are left out\n" in answer.out
    document = program("check", "--format", "json")
    assert (document.code, document.json["rows_without_trade_id"]) == (0, 3)


@pytest.mark.parametrize("tag", ["client_order_id", "sub_tag"])
def test_tags_with_another_prefix_hint_at_the_setting(bot: Bot, tag: str) -> None:
    sign = "-" if tag == "client_order_id" else ":"
    tags = [sign.join(("mm", "P1", f"TRD-{n}")) for n in range(2)]
    bot.sells(*(sold(f"v-{n}", **{tag: text}) for n, text in enumerate(tags)), sold("v-9", **{tag: f"x{sign}y"}))
    bot.ready(row("TRD-1"))
    program = Program(bot)
    assert "set TRUEUP_ORDER_TAG_PREFIX=mm, or" in program("check").out
    assert program("check", "--format", "json").json["accounts"][0]["likely_tag_prefix"] == "mm"
    bot.sells(sold("v-1", **{tag: tags[0]}))
    assert "TRUEUP_ORDER_TAG_PREFIX" not in program("check").out


def test_says_what_is_unknown_before_the_breaks(bot: Bot) -> None:
    bot.venue(positions=None, closed_orders=[sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit")])
    bot.ready(row("TRD-GHOST"))
    answer = Program(bot)("check")
    assert answer.code == 3
    assert answer.out.index("UNKNOWN BTC/USD") < answer.out.index("missing_in_db")
    assert "INCONCLUSIVE" in answer.out.splitlines()[-2]


def test_a_venue_that_cannot_be_read_is_inconclusive_and_said_once(program: Program) -> None:
    (program.bot.folder / "main.json").unlink()
    answer = program("check")
    assert answer.code == 3
    assert "UNREADABLE" in answer.out
    assert "UNKNOWN BTC/USD, ETH/USD: " in answer.out


def test_rows_that_cannot_be_used_are_named(bot: Bot) -> None:
    twice = [sold("v-1"), sold("v-1", qty="3")]
    bot.venue(positions=[{"symbol": "BTC/USD", "qty": "n/a"}], closed_orders=[*twice, sold("v-2", qty="many")])
    bot.ready(row("TRD-GHOST"))
    out = Program(bot)("check").out
    assert "quarantined v-1" in out
    assert "malformed positions" in out
    assert "malformed closed_orders" in out


def test_one_symbol_alone_is_looked_at(program: Program) -> None:
    out = program("check", "--symbol", "btc-usd").out
    assert "TRD-GHOST" in out
    assert "TRD-LOST" not in out


def test_a_symbol_that_nobody_knows_is_noted_on_stderr(program: Program) -> None:
    answer = program("check", "--symbol", "BTC/USDD", "--format", "json")
    assert answer.json["breaks"] == []
    assert "called BTC/USDD" in answer.err
    assert not program("check", "--symbol", "BTCUSD").err


def test_an_unbooked_position_points_to_nothing_that_a_repair_could_do(bot: Bot) -> None:
    bot.venue(positions=[{"symbol": "BTC/USD", "qty": "5"}])
    bot.ready(row("TRD-GHOST"))
    answer = Program(bot)("check")
    assert answer.code == 1
    assert answer.out.splitlines()[-1] == "See one trade's story: trueup explain TRD-GHOST"


@pytest.mark.parametrize("form", ["text", "json"])
def test_changes_nothing(program: Program, form: str) -> None:
    before = {name: program.bot.db.table(name) for name in ("orders", "reconciliation_backfill_audit", "profiles")}
    program("check", "--format", form)
    assert before == {name: program.bot.db.table(name) for name in before}


def test_in_json_is_the_report(program: Program) -> None:
    document = program("check", "--format", "json").json
    assert document["status"] == "MISMATCH"
    assert {found["kind"] for found in document["breaks"]} == {"ghost_position", "missing_in_db"}


def test_a_profile_without_an_account_is_unknown_and_the_others_are_compared(program: Program) -> None:
    program.bot.db.run("INSERT INTO profiles (profile_id, account) VALUES ('p2', 'mian')")
    for words in (("check",), ("backfill", "run")):
        answer = program(*words)
        assert answer.code == 3
        assert "Profile p2 has the account 'mian', which is not configured." in answer.out
        assert "Did you mean main?" in answer.out
        assert "TRD-GHOST" in answer.out
        if words != ("check",):
            assert answer.out.splitlines()[-1].startswith("Apply exactly this: ")
        named = program(*words, "--profile", "p2")
        assert (named.code, named.out) == (2, "")
        assert "Profile p2 has the account 'mian'" in named.err


def test_executions_that_nothing_attributes_are_told_and_are_no_breaks(bot: Bot) -> None:
    bot.profiles.append({"id": "p2"})
    bot.sells(
        sold("booked"),
        sold("hand-made", "3", 20),
        sold("elsewhere", "4", 30, symbol="ETH/USD"),
        sold("of-p2", "5", 40, client_order_id="bytelyst-p2-TRD-9-exit"),
        sold("old", minute=-6000),
        positions=[{"symbol": "BTC/USD", "qty": "1"}],
    )
    bot.ready(row("TRD-OPEN"), row("TRD-DONE"), leave("TRD-DONE", exchange_order_id="booked"))
    answer = Program(bot)("check")
    assert answer.code == 0
    assert "3 executions within the look-back that the ledger has not booked" in answer.out
    line = next(line for line in answer.out.splitlines() if "hand-made" in line)
    assert line.split()[2:6] == ["BTC/USD", "sell", "3", "110"]
    assert line.endswith("hand-made  out of scope: unattributed")
    document = Program(bot)("check", "--format", "json").json
    assert (document["status"], document["summary"]["unmatched"], document["breaks"]) == ("OK", 3, [])
    [account] = document["accounts"]
    found = {entry["exchange_order_id"]: entry["why"] for entry in account["unmatched"]}
    assert found == {
        "hand-made": "out of scope: unattributed",
        "elsewhere": "out of scope: unattributed",
        "of-p2": "unmatched",
    }
    first = Program(bot)("check", "--profile", "p1", "--symbol", "BTC/USD", "--format", "json").json
    assert [entry["exchange_order_id"] for entry in first["accounts"][0]["unmatched"]] == ["hand-made"]


def test_of_many_such_executions_the_newest_are_shown(bot: Bot) -> None:
    bot.sells(*(sold(f"x-{number:02}", "1", number) for number in range(25)))
    bot.ready()
    out = Program(bot)("check").out
    assert "25 executions" in out
    assert "x-24" in out
    assert "x-04" not in out
    assert len(Program(bot)("check", "--format", "json").json["accounts"][0]["unmatched"]) == 25


def test_executions_that_name_several_trades_are_told(bot: Bot) -> None:
    bot.sells(sold("x-1", "1", 9, trade_id="TRD-1", client_order_id="bytelyst-p1-TRD-2-exit"))
    bot.ready(row("TRD-1"), row("TRD-2"))
    assert "quarantined: it names several trades" in Program(bot)("check").out


def test_a_symbol_that_nobody_knows_is_said_where_the_answer_is(program: Program) -> None:
    """A typo finds no break: the answer itself says so, also to a program."""
    for words in (("check",), ("backfill", "run", "--dry-run")):
        answer = program(*words, "--symbol", "DOGE/USDT")
        line = next(line for line in answer.out.splitlines() if line.startswith("OK"))
        assert line.endswith("; no open trade, position or managed symbol is called DOGE/USDT")
        assert program(*words, "--symbol", "DOGE/USDT", "--format", "json").json["summary"]["unknown_symbols"] == [
            "DOGE/USDT"
        ]
        known = program(*words, "--symbol", "BTC/USD", "--format", "json")
        assert (known.json["summary"]["unknown_symbols"], known.err) == ([], "")
