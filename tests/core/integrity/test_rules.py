"""The rules for values: what they take, and that the core reads just that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.core.integrity.rules import BLANKS, RULES, RuleKind, holds, is_blank, is_well_formed
from trueup.core.orders import read_order

FILLED = {"order_id": "o", "profile_id": "p", "status": "filled", "side": "buy", "qty": "1", "timestamp": 1}


def test_all_white_space_of_python_is_listed() -> None:
    assert {chr(code) for code in range(0x110000) if chr(code).isspace()} == set(BLANKS)
    assert len(BLANKS) == len(set(BLANKS))


@pytest.mark.parametrize("value", ["TRD-1", "TRD-" + "x" * 120, "TRD-A.b_c:d-9"])
def test_a_trade_id_of_the_form_is_taken(value: str) -> None:
    assert is_well_formed(value)
    assert all(holds(kind, value) for kind in (RuleKind.FORMAT, RuleKind.NOT_BLANK))


@pytest.mark.parametrize(
    "value",
    [
        "TRD-",
        "trd-1",
        "TRD-1\n",
        "TRD-1 ",
        " TRD-1",
        "TRD-" + "x" * 121,
        "TRD-é",
        "TRD-1\0",
        "T",
        "xTRD-1",
        b"TRD-1",
        5,
    ],
)
def test_another_form_is_refused_by_the_rule_of_the_form_alone(value: object) -> None:
    assert not holds(RuleKind.FORMAT, value)
    assert holds(RuleKind.NOT_BLANK, value)


@pytest.mark.parametrize("value", ["", " ", "\t\n", "\u3000\xa0"])
def test_a_blank_id_is_named_by_its_own_rule_and_by_no_other(value: str) -> None:
    assert is_blank(value)
    assert not holds(RuleKind.NOT_BLANK, value)
    assert holds(RuleKind.FORMAT, value)


def test_null_keeps_every_rule() -> None:
    assert all(holds(rule.kind, None) for rule in RULES)


@given(
    st.one_of(st.sampled_from(["ENTRY", "exit", " Entry\n", "ex\u0131t", "", "  ", "HOLD", "entry exit"]), st.text())
)
def test_an_action_is_taken_where_the_core_reads_one(value: str) -> None:
    read = read_order({**FILLED, "action": value})
    assert holds(RuleKind.ACTION, value) == (read.defect is None and read.action is not None)
