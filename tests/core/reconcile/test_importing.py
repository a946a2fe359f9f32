"""Whose an order is that the ledger does not have, what it does to its trade, and the row that books it."""

from decimal import Decimal
from hashlib import md5

import pytest
from tests.core.reconcile.looking import added, buy, chain, chains, findings, found, heals, only, owner, refused, tag
from tests.core.world import World, at, entry, fill, leave, leg, order, row, short, working

from trueup.core.orders import Action, LedgerOrder, Side
from trueup.core.reconcile.changes import NewRow
from trueup.core.reconcile.importing import (
    BOTH_WAYS,
    ENTRY_MISSING,
    MAY_BE_NEW,
    NOT_LIKE_ITS_TRADES,
    OLDER_THAN_TRADE,
    Owner,
    unentered,
)
from trueup.core.reconcile.table import Do

ENTRY, EXIT = Action.ENTRY, Action.EXIT
CLOSED = "its trade is closed in the ledger, or of another symbol"
UNLIKE = "its tag and its side say different things"
NOT_ONE = "its sub-tag does not name exactly one open trade"
TWO_TRADES = "its tags name different trades"
MAY_BE_TWO = "its tag may name two trades"
UNTOLD = "neither the row nor its order's tag says whether it enters or leaves its trade"
NO_TRADE = "it is an exit of a trade that the ledger does not have"


def sell(name: str = "X1", qty: str = "1", minute: float = 10, **said: object) -> object:
    return order(name, qty, minute, **said)


def read(world: World, of: object, *known: str) -> tuple[str, str | None, Action | None, str]:
    """Whose an order is, in short: profile, trade, action, and what is unclear."""
    found = owner(world, chain(of), known or ("p1", "p2"))
    assert found is not None
    return found.profile_id, found.trade_id, found.action, found.why


def nobody(of: object, *known: str) -> bool:
    return owner(World(), chain(of), known or ("p1", "p2")) is None


OPEN = World(rows=[entry("TRD-1")])


@pytest.mark.parametrize("ending", ["", "-exit", "-EXIT"])
def test_a_client_order_id_names_an_open_trade_and_the_side_says_what_it_does(ending: str) -> None:
    assert read(OPEN, sell(client_order_id=tag("TRD-1", ending=ending))) == ("p1", "TRD-1", EXIT, "")
    assert read(World(rows=[short("TRD-1")]), buy(client_order_id=tag("TRD-1", ending=ending))) == (
        "p1", "TRD-1", EXIT, "",
    )  # fmt: skip


@pytest.mark.parametrize("ending", ["", "-entry", "-Entry"])
def test_an_order_on_the_entry_side_adds_to_an_open_trade(ending: str) -> None:
    assert read(OPEN, buy(client_order_id=tag("TRD-1", ending=ending))) == ("p1", "TRD-1", ENTRY, "")


def test_an_ending_and_a_side_that_differ_are_for_a_person() -> None:
    assert read(OPEN, buy(client_order_id=tag("TRD-1", ending="-exit")))[3] == UNLIKE
    assert read(OPEN, sell(client_order_id=tag("TRD-1", ending="-entry")))[3] == UNLIKE


def test_the_owner_knows_the_open_trade_by_the_ledgers_own_spelling() -> None:
    found = owner(OPEN, chain(sell(client_order_id=tag("trd-1").upper())))
    assert found is not None
    assert found.trade is not None
    assert (found.trade_id, found.trade.trade_id, found.action, found.why) == ("TRD-1", "TRD-1", EXIT, "")


def test_what_no_tag_names_or_two_tags_name_differently_is_nobodys() -> None:
    assert nobody(buy())
    assert nobody(buy(client_order_id="abc"))
    assert nobody(buy(client_order_id=tag("TRD-1", "px")))
    assert nobody(buy(client_order_id="other-p1-TRD-1"))
    assert nobody(buy(sub_tag="bytelyst:px:TRD-1"))
    assert nobody(buy(client_order_id=tag("TRD-1", "p1"), sub_tag="bytelyst:p2:TRD-1"))
    assert nobody(buy(client_order_id=tag("TRD-1", "p1"), sub_tag="bytelyst:px:TRD-1"))
    assert nobody(buy(client_order_id=tag("TRD-1", "P1")), "p1", "P1")


def test_tags_of_one_profile_that_name_different_trades_are_for_a_person() -> None:
    two = World(rows=[entry("TRD-ALPHA-1"), entry("TRD-BETA-1")])
    said = {"client_order_id": tag("TRD-ALPHA-1")}
    assert read(two, sell(**said, sub_tag="bytelyst:p1:TRD-BETA-1"))[3] == TWO_TRADES
    assert read(two, sell(**said, sub_tag="bytelyst:p1:TRD-BETA"))[3] == TWO_TRADES
    assert read(two, sell(**said, sub_tag="bytelyst:p1:TRD-ALPHA-1"))[1:] == ("TRD-ALPHA-1", EXIT, "")
    assert read(two, sell(**said, sub_tag="bytelyst:p1:trd-alph"))[1:] == ("TRD-ALPHA-1", EXIT, "")
    assert read(two, sell(**said, trade_id="TRD-BETA-1"))[3] == TWO_TRADES
    assert read(two, sell(**said, trade_id="TRD-ALPHA-1"))[3] == ""
    assert read(two, sell(sub_tag="bytelyst:p1:TRD-BETA-1", trade_id="TRD-ALPHA-1"))[3] == TWO_TRADES
    new = {"client_order_id": tag("TRD-NEW-9", ending="-entry")}
    assert read(two, buy(**new, sub_tag="bytelyst:p1:TRD-BETA-1"))[3] == TWO_TRADES
    assert read(two, buy(**new, sub_tag="bytelyst:p1:TRD-NEW-"))[3] == ""


def test_a_client_order_id_that_may_name_two_trades_names_none() -> None:
    """The ending may belong to the trade's own name."""
    both = World(rows=[entry("TRD-A"), entry("TRD-A-exit")])
    assert read(both, sell(client_order_id=tag("TRD-A-exit")))[3] == MAY_BE_TWO
    one = World(rows=[entry("TRD-A-exit")])
    assert read(one, sell(client_order_id=tag("TRD-A-exit"))) == ("p1", "TRD-A-exit", EXIT, "")
    assert read(one, buy(client_order_id=tag("TRD-A-exit"))) == ("p1", "TRD-A-exit", ENTRY, "")
    closed = one.having(spelt=frozenset({("p1", "trd-a")}))
    assert read(closed, sell(client_order_id=tag("TRD-A-exit")))[3] == MAY_BE_TWO


def test_trades_whose_ids_differ_in_case_alone_are_told_apart_by_nothing() -> None:
    twins = World(rows=[entry("TRD-a"), entry("TRD-A")])
    assert read(twins, sell(client_order_id=tag("TRD-A")))[3] != ""
    assert read(twins, sell(sub_tag="bytelyst:p1:TRD-A"))[3] != ""


@pytest.mark.parametrize(
    ("text", "profile", "trade"),
    [
        ("bytelyst-p1-TRD-9", "p1", "TRD-9"),
        ("bytelyst-p1-x-TRD-9", "p1-x", "TRD-9"),
        ("bytelyst-P1-X-TRD-9-entry", "p1-x", "TRD-9"),
        ("bytelyst-p1-xx-TRD-9", "p1", None),
        ("bytelyst-p10-TRD-9", "p10", "TRD-9"),
        ("  bytelyst-p1-x-TRD-9 ", "p1-x", "TRD-9"),
    ],
)
def test_the_longest_known_profile_that_fits_is_meant(text: str, profile: str, trade: str | None) -> None:
    found = owner(World(), chain(buy(client_order_id=text)), ("p1", "p1-x", "p10"))
    assert found is not None
    assert found.profile_id == profile
    assert (found.trade_id if not found.why else None) == trade


def test_a_new_trade_keeps_the_case_of_its_id() -> None:
    assert read(World(), buy(client_order_id="BYTELYST-P1-TRD-aBc.9:z-ENTRY")) == ("p1", "TRD-aBc.9:z", ENTRY, "")


@pytest.mark.parametrize("name", ["9", "trd-9", "TRD-", "TRD-a b", "TRD-é", "TRD-" + "a" * 121])
def test_a_new_trade_must_be_well_formed(name: str) -> None:
    """Or as the profile's own: else it may be a part of the name of a profile that is not known."""
    assert read(World(), buy(client_order_id=tag(name)))[2:] == (None, NOT_LIKE_ITS_TRADES)
    assert read(World(rows=[entry("TRD-1")]), buy(client_order_id=tag(name)))[2:] == (None, NOT_LIKE_ITS_TRADES)


UUID = "8c3c2f0e-7a43-4a6f-9d7e-3f6a6b0a9b11"


@pytest.mark.parametrize(
    ("own", "name"),
    [("T1", "T3"), ("trade_1", "trade_22"), (UUID, UUID.replace("8c3", "f00")), ("7", "9"), ("trd-1", "trd-9")],
)
def test_a_new_trade_may_have_an_id_like_those_of_its_profile(own: str, name: str) -> None:
    working_row = row(own, None, 1, status="new", action="ENTRY")
    for rows in ([entry(own)], [working_row]):
        assert read(World(rows=rows), buy(client_order_id=tag(name, ending="-entry")))[1:] == (name, ENTRY, "")
    others = World(rows=[entry(own, profile_id="p2")])
    assert read(others, buy(client_order_id=tag(name)))[3] == NOT_LIKE_ITS_TRADES
    for strange in (f"2-{name}", "x-TRD-9", f"{name} 1", f"{name}é", f"{name}/a/b"):
        assert read(World(rows=[entry(own)]), buy(client_order_id=tag(strange)))[3] == NOT_LIKE_ITS_TRADES


def test_a_new_trade_may_be_as_long_as_its_grammar_says() -> None:
    name = "TRD-" + "a" * 120
    assert read(World(), buy(client_order_id=tag(name)))[1:] == (name, ENTRY, "")


def test_an_exit_of_a_trade_that_nobody_knows_is_for_a_person() -> None:
    assert read(World(), sell(client_order_id=tag("TRD-9", ending="-exit")))[1:] == ("TRD-9", EXIT, NO_TRADE)


def test_a_trade_that_is_closed_in_the_ledger_is_not_opened_again() -> None:
    closed = World(spelt=frozenset({("p1", "trd-1")}))
    for said in (sell(client_order_id=tag("TRD-1")), buy(client_order_id=tag("TRD-1", ending="-entry"))):
        assert read(closed, said)[3] == CLOSED
    assert read(closed, buy(client_order_id=tag("TRD-1", "p2")))[3] == ""
    assert read(closed, sell(sub_tag="bytelyst:p1:TRD-1"))[3] == NOT_ONE


def test_a_trade_of_another_symbol_is_not_meant() -> None:
    for spelt in (frozenset(), frozenset({("p1", "trd-1")})):
        world = World(rows=[entry("TRD-1", symbol="ETH/USD")], spelt=spelt)
        assert read(world, sell(client_order_id=tag("TRD-1")))[3] != ""
    assert read(world, sell(sub_tag="bytelyst:p1:TRD-1"))[3] == "its sub-tag names a trade of another symbol"


# Sub-tags.

LONG = World(rows=[entry("TRD-ABCD-1"), entry("TRD-ABCD-2"), entry("TRD-ZZZZ-1", profile_id="p2")])


def test_a_sub_tag_names_a_trade_in_full_or_by_its_first_eight_characters() -> None:
    assert read(LONG, sell(sub_tag="bytelyst:p1:TRD-ABCD-1")) == ("p1", "TRD-ABCD-1", EXIT, "")
    assert read(LONG, sell(sub_tag="bytelyst:p2:trd-zzzz")) == ("p2", "TRD-ZZZZ-1", EXIT, "")
    assert read(LONG, sell(sub_tag="bytelyst:p2:trd-zzz"))[3] == NOT_ONE
    assert read(LONG, buy(sub_tag="BYTELYST:p2:trd-zzzz-1")) == ("p2", "TRD-ZZZZ-1", ENTRY, "")
    assert read(LONG, buy(sub_tag="BYTELYST:p2:trd-zzzz"))[3] == MAY_BE_NEW


def test_a_sub_tag_that_begins_several_trades_or_none_is_for_a_person() -> None:
    assert read(LONG, sell(sub_tag="bytelyst:p1:TRD-ABCD"))[3] == NOT_ONE
    assert read(LONG, sell(sub_tag="bytelyst:p1:TRD-NONE-1"))[3] == NOT_ONE
    assert read(LONG, sell(sub_tag="bytelyst:p2:TRD-ABCD-1"))[3] == NOT_ONE
    assert read(LONG, sell(sub_tag="bytelyst:p1:"))[3] == NOT_ONE


def test_a_sub_tag_that_is_the_whole_id_of_a_closed_trade_is_short_for_no_other() -> None:
    world = World(rows=[entry("TRD-ABCD-1")], spelt=frozenset({("p1", "trd-abcd")}))
    assert read(world, sell(sub_tag="bytelyst:p1:TRD-ABCD"))[3] == NOT_ONE
    whole = World(rows=[entry("TRD-ABCD"), entry("TRD-ABCD-1")])
    assert read(whole, sell(sub_tag="bytelyst:p1:TRD-ABCD"))[1:] == ("TRD-ABCD", EXIT, "")
    tiny = World(rows=[entry("TRD-1"), entry("TRD-11")])
    assert read(tiny, sell(sub_tag="bytelyst:p1:TRD-1"))[1:] == ("TRD-1", EXIT, "")


def test_an_order_no_younger_than_its_trade_may_be_the_entry_that_the_ledger_lacks() -> None:
    """A bot that names no actions wrote its exit alone, which then looks like the entry."""
    silent = World(rows=[row("TRD-1", 1, 10, side="sell")])
    for minute in (9, 10):
        assert read(silent, buy(minute=minute, client_order_id=tag("TRD-1"))) == ("p1", "TRD-1", None, OLDER_THAN_TRADE)
    assert read(silent, buy(minute=10.001, client_order_id=tag("TRD-1"))) == ("p1", "TRD-1", EXIT, "")
    assert read(silent, sell(minute=9, client_order_id=tag("TRD-1"))) == ("p1", "TRD-1", ENTRY, "")
    assert read(silent, buy(minute=9, client_order_id=tag("TRD-1", ending="-exit"))) == ("p1", "TRD-1", EXIT, "")


SUFFIXES = ("-tp", "-sl", "-2", "-exit-2", ".b", "-exit-exit")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "world", [OPEN, World(spelt=frozenset({("p1", "trd-1")})), World(orders=[buy("E", client_order_id=tag("TRD-1"))])]
)
def test_what_is_added_to_a_trades_id_makes_no_new_trade(world: World, suffix: str) -> None:
    """A second exit or a bracket of a trade, at a venue that wants each client order id once."""
    of = chain(sell(client_order_id=tag("TRD-1", ending=suffix)))
    found = owner(world, of, heard=chains(world))
    assert found is not None
    assert found.why.startswith(("its tag names no trade of the ledger", "its tag says whether it enters", NO_TRADE))
    assert found.trade is None


def test_a_trade_that_begins_like_another_one_may_be_new() -> None:
    assert read(OPEN, buy(client_order_id=tag("TRD-11"))) == ("p1", "TRD-11", ENTRY, "")
    assert read(OPEN, buy(client_order_id=tag("TRD-1-2", ending="-entry"))) == ("p1", "TRD-1-2", ENTRY, "")
    assert read(OPEN, buy(client_order_id=tag("TRD-1-2", "p2"))) == ("p2", "TRD-1-2", ENTRY, "")
    assert read(World(rows=[entry("TRD-1-2")]), buy(client_order_id=tag("TRD-1"))) == ("p1", "TRD-1", ENTRY, "")


def test_a_client_order_id_that_was_cut_off_makes_no_new_trade() -> None:
    long = "TRD-20260102-0001-BTCUSD-breakout"
    world = World(rows=[entry(long)])
    said = read(world, sell(client_order_id=tag(long)[:36]))
    assert said[3].startswith(
        "its tag names no trade of the ledger, and may be one of trd-20260102-0001-btcusd-breakout"
    )
    assert read(World(rows=[entry("TRD-20")]), buy(client_order_id=tag("TRD-2"))) == ("p1", "TRD-2", ENTRY, "")


def test_a_sub_tag_that_names_another_trade_is_believed() -> None:
    said = sell(client_order_id=tag("TRD-1-tp1", ending="-entry"), sub_tag="bytelyst:p1:TRD-1")
    assert read(World(), said)[3] == TWO_TRADES
    short = sell(client_order_id=tag("TRD-12345-6", ending="-entry"), sub_tag="bytelyst:p1:TRD-1234")
    assert read(World(), short)[3] == ""


DATED = ("TRD-20260102-0001", "TRD-20260103-0002")


def test_a_short_sub_tag_means_the_one_trade_of_all_that_the_ledger_has() -> None:
    first, second = DATED
    other = row(second, None, 2, status="new", action="ENTRY", exchange_order_id="XB")
    out = sell(sub_tag="bytelyst:p1:TRD-2026")
    assert read(World(rows=[entry(first)]), out) == ("p1", first, EXIT, "")
    assert read(World(rows=[entry(first), other]), out)[3] == NOT_ONE
    assert read(World(rows=[other]), out)[3] == NOT_ONE


def test_the_first_order_of_a_new_trade_is_inferred_to_enter_it() -> None:
    def inferred(*orders: object) -> dict[str, bool]:
        met = chains(World(orders=orders))
        owners = {each.newest_id: owner(World(), each, met=met) for each in met}
        return {name: found.inferred for name, found in owners.items() if found is not None}

    bare, named = tag("TRD-9"), tag("TRD-9", ending="-entry")
    assert inferred(buy("E", minute=1, client_order_id=bare)) == {"E": True}
    assert inferred(buy("E", minute=1, client_order_id=named)) == {"E": False}
    both = buy("E", minute=1, client_order_id=bare), sell("X", minute=2, client_order_id=bare)
    assert inferred(*both) == {"E": True, "X": True}
    told = buy("E", minute=2, client_order_id=named), sell("X", minute=1, client_order_id=bare)
    assert inferred(*told) == {"E": False, "X": False}


# Several orders of one new trade in one look.


def owners(*orders: object) -> dict[str, tuple[Action | None, str]]:
    world = World(orders=orders)
    met = chains(world)
    found = {each.newest_id: owner(world, each, met=met) for each in met}
    return {name: (o.action, o.why) for name, o in found.items() if o is not None}


def test_the_entry_and_the_exit_of_a_new_trade_are_told_by_their_sides() -> None:
    said = {"client_order_id": tag("TRD-9")}
    pair = {"E": (ENTRY, ""), "X": (EXIT, "")}
    assert owners(buy("E", minute=1, **said), sell("X", minute=2, **said)) == pair
    assert owners(sell("X", minute=2, **said), buy("E", minute=1, **said)) == pair
    assert owners(sell("E", minute=1, **said), buy("X", minute=2, **said)) == pair
    assert owners(buy("E", minute=1, **said), buy("F", minute=2, **said), sell("X", minute=3, **said)) == {
        "E": (ENTRY, ""), "F": (ENTRY, ""), "X": (EXIT, ""),
    }  # fmt: skip


def test_an_exit_that_comes_before_its_entry_in_time_is_an_exit_still_where_it_says_so() -> None:
    leaving = sell("X", minute=1, client_order_id=tag("TRD-9", ending="-exit"))
    entering = buy("E", minute=2, client_order_id=tag("TRD-9", ending="-entry"))
    assert owners(leaving, entering) == {"E": (ENTRY, ""), "X": (EXIT, "")}


def test_entries_of_one_new_trade_that_go_both_ways_are_all_for_a_person() -> None:
    named = {"client_order_id": tag("TRD-9", ending="-entry")}
    bought, other = buy("E", minute=2, **named), (ENTRY, BOTH_WAYS)
    leaving = sell("X", minute=4, client_order_id=tag("TRD-9", ending="-exit"))
    assert owners(bought, sell("Y", minute=1, **named)) == {"E": other, "Y": other}
    assert owners(bought, sell("Y", minute=3, **named), leaving)["X"] == (EXIT, BOTH_WAYS)
    assert owners(bought, sell("Y", "0", 3, status="new", working=True, **named)) == {"E": other, "Y": other}
    assert owners(bought, sell("Y", "0.5", 3, status="canceled", **named)) == {"E": other, "Y": other}
    never = sell("Y", "0", 3, status="canceled", **named)
    assert owners(bought, never) == {"E": (ENTRY, ""), "Y": (ENTRY, UNLIKE)}
    assert owners(bought, sell("Y", minute=3, client_order_id=tag("TRD-9"))) == {"E": (ENTRY, ""), "Y": (EXIT, "")}


@pytest.mark.parametrize("executed", ["0", "1"])
def test_an_entry_that_goes_against_the_one_in_the_ledger_is_for_a_person(executed: str) -> None:
    """Also once the loop itself has imported the first of the two."""
    named = {"client_order_id": tag("TRD-9", ending="-entry")}
    against = sell("Y", executed, 1, status="filled" if executed == "1" else "new", working=executed == "0", **named)
    mine = row("TRD-9", None, 1, status="new", action="ENTRY", side="sell", exchange_order_id="Y")
    both = World(rows=[mine], orders=[against, buy("E", minute=2, **named)], legs=[leg("1")])
    assert [f.why for f in findings(both) if f.rule.name == "import"] == [BOTH_WAYS]
    never = World(rows=[mine], orders=[sell("Y", "0", 1, status="canceled", **named), buy("E", minute=2, **named)])
    assert [f.do for f in findings(never) if f.rule.name == "import"] == [Do.IMPORT]


def test_a_named_entry_says_more_than_the_first_in_time() -> None:
    """An order without an ending that came first may be the exit: its side against the named entry says so."""
    first = sell("X", minute=1, client_order_id=tag("TRD-9"))
    entering = buy("E", minute=2, client_order_id=tag("TRD-9", ending="-entry"))
    assert owners(first, entering) == {"E": (ENTRY, ""), "X": (EXIT, "")}


def test_new_trades_of_two_symbols_or_profiles_do_not_meet() -> None:
    assert owners(
        buy("E", minute=1, client_order_id=tag("TRD-9")), sell("F", minute=2, client_order_id=tag("TRD-9", "p2"))
    ) == {"E": (ENTRY, ""), "F": (ENTRY, "")}
    assert owners(
        buy("E", minute=1, client_order_id=tag("TRD-9")),
        sell("F", minute=2, client_order_id=tag("TRD-9"), symbol="ETH/USD"),
    ) == {"E": (ENTRY, ""), "F": (ENTRY, "")}


# Trades that the ledger has and that were never entered.

IN = {"client_order_id": tag("TRD-9", ending="-entry")}
OUT = {"client_order_id": tag("TRD-9", ending="-exit")}


def idle(status: str = "new", trade: str = "TRD-9", **columns: object) -> LedgerOrder:
    """A row of a trade that books nothing: its exit, asked for and not filled."""
    said = {"action": "EXIT", "side": "sell", "exchange_order_id": "X"}
    return row(trade, None, 2, status=status, **said | columns)


@pytest.mark.parametrize("status", ["new", "canceled", "rejected"])
def test_the_entry_of_a_trade_that_the_ledger_has_and_that_nothing_entered_is_imported(status: str) -> None:
    """The exit's row is there and its entry's is lost: the trade is not closed, and the tag says what enters it."""
    world = World(rows=[idle(status)], orders=[buy("E", minute=1, **IN), sell("X", "0.4", 2, **OUT)], legs=[leg("0.6")])
    told = ["TRD-9: import", f"TRD-9: {'filled_at_venue' if status == 'new' else 'missed_fill'}"]
    assert heals(world) == told
    assert read(world, buy("E", client_order_id=tag("trd-9", ending="-ENTRY"))) == ("p1", "TRD-9", ENTRY, "")


def test_the_exit_of_such_a_trade_is_imported_beside_its_entry() -> None:
    world = World(rows=[idle(exchange_order_id="Y")], orders=[buy("E", **IN), sell("X", "0.4", 11, **OUT)])
    met = chains(world)
    assert [owner(world, each, met=met) for each in met] == [
        Owner("p1", "TRD-9", ENTRY), Owner("p1", "TRD-9", EXIT),
    ]  # fmt: skip
    assert read(world, sell("X", **OUT))[3] == CLOSED


@pytest.mark.parametrize(
    "others",
    [
        [entry("TRD-9"), leave("TRD-9")], [entry("trd-9"), leave("trd-9")], [idle("weird")], [idle(symbol=None)],
        [idle(symbol="ETH/USD")], [idle(order_id="other", trade="trd-9")],
    ],
)  # fmt: skip
def test_a_trade_that_was_entered_or_cannot_be_told_is_for_a_person(others: list[LedgerOrder]) -> None:
    assert unentered([idle(), idle("canceled")], World().fresh_symbols) == {("p1", "trd-9", "BTCUSD"): "TRD-9"}
    assert unentered([idle(), *others], World().fresh_symbols) == {}
    closed = World(spelt=frozenset({("p1", "trd-9")}))
    assert read(closed, buy("E", **IN))[3] == CLOSED


def test_an_order_that_does_not_say_that_it_enters_such_a_trade_is_for_a_person() -> None:
    assert read(World(rows=[idle()]), buy("E", client_order_id=tag("TRD-9")))[3] == CLOSED
    assert read(World(rows=[idle()]), buy("E", sub_tag="bytelyst:p1:TRD-9"))[3] == NOT_ONE
    assert read(World(rows=[idle()]), buy("E", symbol="ETH/USD", **IN))[3] == CLOSED
    assert read(World(rows=[idle(profile_id="p2")]), buy("E", **IN)) == ("p1", "TRD-9", ENTRY, "")


# The row.


def test_the_row_of_an_imported_order() -> None:
    world = World(orders=[buy("X7", "0.4", 9, client_order_id=tag("TRD-9", ending="-entry"), price="101")])
    made = added(world)
    name = "IMPRT-" + md5(b"p1:TRD-9:BTCUSD:X7").hexdigest()
    assert (made.order_id, made.profile_id, made.user_id, made.trade_id) == (name, "p1", "u1", "TRD-9")
    assert (made.symbol, made.side, made.action, made.status) == ("BTC/USD", Side.BUY, ENTRY, "filled")
    assert (made.qty, made.order_qty, made.price, made.time_ms) == (Decimal("0.4"), Decimal("0.4"), 101, at(9))
    assert (made.exchange_order_id, made.client_order_id, made.sub_tag) == ("X7", tag("TRD-9", ending="-entry"), None)
    assert (made.proof.rule, made.proof.exchange_order_id, made.proof.executed) == ("import", "X7", Decimal("0.4"))
    assert (made.proof.venue_status, made.proof.price_source) == ("filled", "order")


def test_an_exit_of_an_open_trade_takes_the_trades_user_and_spelling() -> None:
    world = World(
        rows=[entry("TRD-1", symbol="BTCUSD", user_id="u9")],
        orders=[sell(client_order_id=tag("trd-1"), sub_tag="bytelyst:p1:TRD-1")],
    )
    made = added(world)
    assert (made.trade_id, made.symbol, made.user_id, made.action) == ("TRD-1", "BTCUSD", "u9", EXIT)
    assert (made.side, made.sub_tag) == (Side.SELL, "bytelyst:p1:TRD-1")
    assert added(world.having(rows=[entry("TRD-1", user_id=None)])).user_id == "u1"


@pytest.mark.parametrize(
    ("said", "status", "qty"),
    [
        ({"status": "new", "working": True, "qty": "0"}, "new", "0"),
        ({"status": "partially_filled", "working": True, "qty": "0.4"}, "partially_filled", "0.4"),
        ({"status": "canceled", "qty": "0.4"}, "filled", "0.4"),
        ({"status": "filled", "qty": "0.4"}, "filled", "0.4"),
        ({"status": "calculated", "qty": "0.4"}, "partially_filled", "0.4"),
        ({"status": "replaced", "replaced_by": "Y", "qty": "0.4"}, "partially_filled", "0.4"),
    ],
)
def test_the_status_of_an_imported_order(said: dict[str, object], status: str, qty: str) -> None:
    made = added(World(orders=[buy(client_order_id=tag("TRD-9"), **said)]))
    assert (made.status, made.qty) == (status, Decimal(qty))
    assert made.order_qty == (Decimal(qty) if made.qty else None)
    assert made.executed == (made.qty if status != "new" else 0)


def test_an_order_without_a_known_price_is_imported_at_none() -> None:
    made = added(World(orders=[buy(client_order_id=tag("TRD-9"), price=None)]))
    assert (made.price, made.proof.price, made.proof.price_source) == (0, None, "none")


def test_a_chain_is_imported_under_its_first_id_and_its_newest_name() -> None:
    links = [
        buy("A", "0.4", 1, status="replaced", replaced_by="B", client_order_id=tag("TRD-9")),
        buy("B", "1", 2, replaces="A", client_order_id=tag("TRD-9")),
    ]
    made = added(World(orders=links))
    assert made.order_id == "IMPRT-" + md5(b"p1:TRD-9:BTCUSD:A").hexdigest()
    assert (made.exchange_order_id, made.qty) == ("B", 1)


def test_orders_that_cannot_be_imported_are_for_a_person() -> None:
    assert refused(World(orders=[sell(client_order_id=tag("TRD-9", ending="-exit"))])) == NO_TRADE
    assert refused(World(orders=[buy(sub_tag="bytelyst:p1:TRD-9")])) == NOT_ONE
    links = [
        buy("A", "0.4", 1, status="replaced", replaced_by="B", client_order_id=tag("TRD-9")),
        sell("B", "1", 2, replaces="A", client_order_id=tag("TRD-9")),
    ]
    assert refused(World(orders=links)) == "its side or its trade cannot be told"


def test_an_order_is_imported_once_the_bot_had_its_time() -> None:
    young = World(orders=[buy(minute=599.5 + 1 / 60_000, client_order_id=tag("TRD-9"))])
    assert found(young) == ["import_soon"]
    assert only(young).changes == ()
    assert found(World(orders=[buy(minute=599.5, client_order_id=tag("TRD-9"))])) == ["import"]
    assert found(young, settle_ms=0) == ["import"]


def test_an_order_without_a_tag_is_an_orphan_of_the_account() -> None:
    orphan = only(World(orders=[buy()]))
    assert (orphan.rule.name, orphan.profile_id, orphan.trade_id, orphan.changes) == ("orphan", None, None, ())
    told = orphan.as_break("main")
    assert told is not None
    assert (told.profile_id, told.exchange_order_id, told.ledger, told.venue) == (None, "X1", 0, 1)
    assert found(World(fills=[fill(qty="1")])) == ["orphan"]


def test_an_order_that_is_tagged_for_a_profile_elsewhere_is_the_accounts_orphan() -> None:
    """Nobody else would tell of it: the profile's own account does not list it."""
    orphan = only(World(orders=[buy(client_order_id=tag("TRD-9", "p2"))]), here=["p1"])
    assert (orphan.rule.name, orphan.profile_id, orphan.trade_id) == ("orphan", None, None)


def test_an_owner_has_nothing_to_explain_by_itself() -> None:
    assert Owner("p1") == Owner("p1", None, None, None, "")


def test_exits_of_a_trade_that_the_ledger_has_open_find_it_whatever_else_is_imported() -> None:
    world = World(
        rows=[entry("TRD-1", "2", exchange_order_id="E"), leave("TRD-1", exchange_order_id="L")],
        orders=[
            buy("E", "2", price="100"), sell("L", price="100"), sell("N", minute=12, client_order_id=tag("TRD-1")),
        ],
    )  # fmt: skip
    made = added(world)
    assert (made.action, made.qty, made.exchange_order_id) == (EXIT, 1, "N")


def test_an_exit_finds_the_trade_whose_entry_the_ledger_takes_for_working_or_dead() -> None:
    """Both fills were missed: neither can be booked without the other."""
    for status in ("new", "canceled"):
        waiting = row("TRD-1", None, status=status, action="ENTRY", exchange_order_id="W")
        leaving = sell("N", minute=12, client_order_id=tag("trd-1", ending="-exit"))
        world = World(rows=[waiting], orders=[buy("W", minute=5), leaving])
        assert heals(world) == [f"TRD-1: {'filled_at_venue' if status == 'new' else 'missed_fill'}", "TRD-1: import"]


def test_an_entry_of_which_nothing_executed_opens_no_trade() -> None:
    waiting = World(rows=[row("TRD-1", None, status="new", action="ENTRY", exchange_order_id="W")], orders=[
        buy("W", "0", status="new", working=True), sell("N", minute=12, client_order_id=tag("TRD-1")),
    ])  # fmt: skip
    assert refused(waiting) == CLOSED
    unsaid = World(rows=[row("TRD-1", None, status="canceled", exchange_order_id="W")], orders=[
        buy("W"), sell("N", minute=12, client_order_id=tag("TRD-1")),
    ])  # fmt: skip
    assert found(unsaid) == ["missed_fill", f"import -> QUARANTINE: {CLOSED}"]


@pytest.mark.parametrize(("left_by", "told"), [("buy", EXIT), ("sell", ENTRY), (None, None)])
def test_an_order_of_a_trade_without_its_entry_is_told_by_the_venues_exits(left_by: str | None, told: object) -> None:
    """The rows of the exits say sell, which may be their position's side: only the venue's own exits tell."""
    exits = [order("L", "1", 20, price="100", side=left_by)] if left_by is not None else []
    bought = buy("N", "1", 25, status="new", working=True, client_order_id=tag("TRD-1"))
    world = World(rows=[leave("TRD-1", "1", 20, exchange_order_id="L")], orders=[*exits, bought])
    finding = next(each for each in findings(world) if each.pair.chain and each.pair.chain.newest_id == "N")
    if told is None:
        assert finding.why == ENTRY_MISSING
    else:
        assert [change.action for change in finding.changes if isinstance(change, NewRow)] == [told]


def test_an_ending_tells_where_a_trades_entry_is_missing() -> None:
    bought = buy("N", "1", 25, client_order_id=tag("TRD-1", ending="-exit"))
    assert read(World(rows=[leave("TRD-1", "1", 20)]), bought) == ("p1", "TRD-1", EXIT, "")


@pytest.mark.parametrize(("others", "why"), [((), ""), ((working(side="buy", action=None),), UNTOLD)])
def test_a_silent_row_beside_a_working_one_gets_no_difference(others: tuple[LedgerOrder, ...], why: str) -> None:
    world = World(rows=[row("TRD-1", "1", 10, side="sell", exchange_order_id="X1"), *others], orders=[sell(qty="2")])
    finding = next(each for each in findings(world) if each.pair.chain)
    assert finding.why == why if why else len(finding.changes) == 1
