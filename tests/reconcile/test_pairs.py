"""Every pair of a ledger's status and a venue's has a decided outcome, told here once more by hand."""

import re

import pytest
from tests.reconcile.stage import Stage, a_row, an_order, tag

from trueup.core.orders import KNOWN_STATUSES, StatusClass
from trueup.core.reconcile.table import TABLE, Booked

NONE = "none"
SAME = "same"
CANCELED = "canceled, expired or rejected"

OUTCOMES = {
    "working": {
        "not found": (CANCELED, NONE), "working 0": (SAME, NONE), "working 0.4": ("partially_filled 0.4", NONE),
        "filled 1": ("filled 1", NONE), "dead 0": (CANCELED, NONE), "dead 0.4": ("filled 0.4", NONE),
        "replaced 0": (SAME, "status_mismatch unresolved"),
    },
    "partially_filled": {
        "not found": (SAME, "phantom_fill quarantined"), "working 0": (SAME, "phantom_fill quarantined"),
        "working 0.4": (SAME, NONE), "filled 1": ("filled 1", NONE), "dead 0": (SAME, "phantom_fill quarantined"),
        "dead 0.4": ("filled 0.4", NONE), "replaced 0.4": (SAME, "status_mismatch unresolved"),
    },
    "filled": {
        "not found": (SAME, "phantom_fill quarantined"), "working 0": (SAME, "phantom_fill quarantined"),
        "working 0.4": (SAME, "phantom_fill quarantined"), "filled 1": (SAME, NONE),
        "dead 0": (SAME, "phantom_fill quarantined"), "dead 0.4": (SAME, "phantom_fill quarantined"),
    },
    "dead": {
        "not found": (SAME, NONE), "working 0": (SAME, "status_mismatch quarantined"),
        "working 0.4": ("partially_filled 0.4", NONE), "filled 1": ("filled 1", NONE), "dead 0": (SAME, NONE),
        "dead 0.4": ("filled 0.4", NONE), "replaced 0": (SAME, NONE),
    },
    "unknown": dict.fromkeys(
        ("not found", "working 0", "working 0.4", "filled 1", "dead 0", "dead 0.4", "replaced 0"),
        (SAME, "status_mismatch quarantined"),
    ),
}  # fmt: skip
"""What becomes of a row within four cycles, and the break that stays, by what the ledger and the venue say."""

WORDS = {
    "working": KNOWN_STATUSES[StatusClass.WORKING], "partially_filled": ("partially_filled", "Partially-Filled"),
    "filled": ("filled", "FILLED"), "dead": KNOWN_STATUSES[StatusClass.DEAD], "unknown": ("closed", "done", ""),
}  # fmt: skip
BOOKED = {"partially_filled": "0.4"}
AT_VENUE = {
    "working 0": ("new", "accepted", "pending_cancel", "held"), "working 0.4": ("partially_filled", "pending_replace"),
    "filled 1": ("filled",), "dead 0": ("canceled", "expired", "rejected"), "dead 0.4": ("canceled", "expired"),
    "replaced 0": ("replaced",), "replaced 0.4": ("replaced",), "not found": ("",),
}  # fmt: skip

PAIRS = [
    pytest.param(kind, word, standing, status, id=f"{word or 'empty'}-{status or 'not found'}-{standing}")
    for kind, outcomes in OUTCOMES.items()
    for word in WORDS[kind]
    for standing in outcomes
    for status in AT_VENUE[standing]
]


@pytest.mark.parametrize(("kind", "word", "standing", "status"), PAIRS)
def test_every_pair_is_decided(kind: str, word: str, standing: str, status: str) -> None:
    stage = Stage()
    qty = BOOKED.get(kind, "1")
    stage.ledger(a_row("r1", "buy", word, qty, exchange_order_id="x1"))
    executed = standing.rsplit(maxsplit=1)[-1]
    if standing != "not found":
        order = an_order(
            "x1", "buy", status, executed, client_order_id=tag("TRD-1", "ENTRY"),
            working=standing.startswith("working"), replaced_by="x2" if status == "replaced" else None,
        )  # fmt: skip
        stage.venue(order, held=executed if executed != "0" else None)
    stage.cycles(4)
    row, broken = OUTCOMES[kind][standing]
    found = stage.rows["r1"]
    if row == CANCELED:
        assert re.fullmatch(r"(canceled|expired|rejected) 1", found)
    else:
        assert found == (f"{word} {qty}" if row == SAME else row)
    of_orders = {f"{k} {s}" for k, s in stage.breaks.items() if not k.endswith("_position")}
    assert of_orders == ({broken} - {NONE})


def test_every_row_of_the_table_says_what_it_does() -> None:
    assert len({rule.name for rule in TABLE}) == len(TABLE)
    for rule in TABLE:
        assert rule.ledger
        assert rule.venue
        assert rule.why.endswith(".")
    assert set(Booked)
