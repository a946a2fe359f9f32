"""The rules that lifecycle integrity binds, each defined once: here for values, and by the ledger as SQL.

A property test holds both readings of a rule equal, on both databases.

The rule of actions takes what `core.orders` reads as one; a blank action is refused all the same, as a blank trade id
is: NULL says "none". The rule of the format leaves blank ids to the rule that names them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trueup.core.orders import LedgerOrder

BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""All white space: what `str.strip` takes off."""

ACTIONS = ("ENTRY", "EXIT")
WELL_FORMED = re.compile(r"TRD-[A-Za-z0-9._:-]{1,120}")
"""The form of a trade id, to be matched whole."""


class RuleKind(StrEnum):
    """What a rule says of a column."""

    ACTION = "action"
    NOT_BLANK = "not_blank"
    FORMAT = "format"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the constraint's name, the table and column (by our names) that it binds, and what it says."""

    name: str
    table: str
    column: str
    kind: RuleKind

    @property
    def words(self) -> str:
        """Return what the rule asks for."""
        return _WORDS[self.kind]


_WORDS = {
    RuleKind.ACTION: "action is ENTRY, EXIT or NULL",
    RuleKind.NOT_BLANK: "trade_id is NULL or not blank",
    RuleKind.FORMAT: "trade_id has the form TRD-[A-Za-z0-9._:-]{1,120}",
}

RULES = (
    Rule("chk_orders_action_lifecycle", "orders", "action", RuleKind.ACTION),
    Rule("chk_orders_trade_id_not_blank", "orders", "trade_id", RuleKind.NOT_BLANK),
    Rule("chk_orders_trade_id_format", "orders", "trade_id", RuleKind.FORMAT),
    Rule("chk_trade_history_trade_id_not_blank", "trade_history", "trade_id", RuleKind.NOT_BLANK),
    Rule("chk_trade_history_trade_id_format", "trade_history", "trade_id", RuleKind.FORMAT),
)


@dataclass(frozen=True, slots=True)
class IndexRule:
    """An index that the walks over lifecycles need: its name, table and columns, by our names."""

    name: str
    table: str
    columns: tuple[str, ...]


INDEXES = (
    IndexRule("idx_orders_trade_id", "orders", ("trade_id",)),
    IndexRule("idx_orders_lifecycle", "orders", ("profile_id", "symbol", "timestamp")),
    IndexRule("idx_trade_history_trade_id", "trade_history", ("trade_id",)),
    IndexRule("idx_trade_history_lifecycle", "trade_history", ("profile_id", "trade_id")),
)


def rule_named(text: str) -> Rule | None:
    """Return the rule whose name a text holds, None where it holds none."""
    return next((rule for rule in RULES if rule.name in text), None)


def is_blank(value: object) -> bool:
    """Say whether a value is text of white space alone, or empty; NULL is not blank."""
    return isinstance(value, str) and not value.strip()


def is_well_formed(value: object) -> bool:
    """Say whether a trade id has the form, whole."""
    return isinstance(value, str) and WELL_FORMED.fullmatch(value) is not None


BLANK_TO_NULL = "blank_to_null"
"""The reason in the audit of a blank trade id that became NULL."""

REFUSED_BY_RULE = "refused_by_rule"
"""The reason of what is not written since a rule in force would refuse it; the rule's name follows."""


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules that a ledger binds right now, by name.

    `old_rows` says that they bind every row that is written, also one from before the rules; else new values alone.
    """

    names: frozenset[str] = frozenset()
    old_rows: bool = False

    def refusing_row(self, trade_id: str | None) -> Rule | None:
        """Return the rule that refuses a new row of a trade, or the history that follows from it."""
        return self._broken({"orders": {"trade_id": trade_id}, "trade_history": {"trade_id": trade_id}})

    def refusing_change(self, row: LedgerOrder, *, adds_history: bool) -> Rule | None:
        """Return the rule that refuses a change of a row that is there, or the history that it adds."""
        blanks = dict.fromkeys(row.unread, "")
        orders = {"trade_id": row.trade_id, **blanks} if self.old_rows else {}
        history = {"trade_id": row.trade_id} if self.old_rows or adds_history else {}
        return self._broken({"orders": orders, "trade_history": history})

    def _broken(self, values: Mapping[str, Mapping[str, object]]) -> Rule | None:
        bound = (rule for rule in RULES if rule.name in self.names)
        return next((r for r in bound if not holds(r.kind, values[r.table].get(r.column))), None)


NO_RULES = RulesInForce()


def what_to_do(rule: Rule) -> str:
    """Return what a rule asks for, and what a person does about a row that it refuses."""
    return (
        f"the rule asks that {rule.words}; correct the id (`trueup integrity report` names its rows), or take the rules"
        " back with `trueup integrity rollback`"
    )


def holds(kind: RuleKind, value: object) -> bool:
    """Say whether a value keeps a rule."""
    if value is None:
        return True
    if kind is RuleKind.ACTION:
        return isinstance(value, str) and value.strip().isascii() and value.strip().upper() in ACTIONS
    if kind is RuleKind.NOT_BLANK:
        return not is_blank(value)
    return is_blank(value) or is_well_formed(value)
