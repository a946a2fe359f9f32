"""Trade ids from tags: what the bot itself wrote on the order says which trade it is of.

A client order id names the trade whole. A sub-tag may be cut to the first characters of the id, so that it is taken
only where exactly one trade of the profile and symbol fits; ids that this very plan gives count too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trueup.core.decimals import NOTHING
from trueup.core.integrity.naming import (
    How,
    KnownTrade,
    Left,
    Naming,
    NamingPolicy,
    Unnamed,
    Why,
    is_exit,
    left_alone,
    readable,
    sums,
)
from trueup.core.integrity.rules import is_well_formed
from trueup.core.integrity.walk import late_entry
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.slices import said_action, slices_of
from trueup.core.tags import Tag, abbreviates

_ENTRY_END, _EXIT_END = "-entry", "-exit"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a row's tags say: the names in lower case, as the row itself spells the first, and by which tag."""

    row: LedgerOrder
    whole: tuple[str, ...] = ()
    spelt: str = ""
    beginning: str = ""


def named_by_tags(facts: Unnamed, policy: NamingPolicy) -> tuple[list[Naming], list[Left], list[LedgerOrder]]:
    """Return what tags name, what they leave undecided, and the rows without any tag."""
    return _Tags(facts, policy).decide()


class _Tags:
    def __init__(self, facts: Unnamed, policy: NamingPolicy) -> None:
        self.facts, self.policy = facts, policy
        self.left: list[Left] = []
        self.known: dict[str, list[KnownTrade]] = defaultdict(list)
        for trade in facts.trades:
            self.known[trade.trade_id.lower()].append(trade)

    def decide(self) -> tuple[list[Naming], list[Left], list[LedgerOrder]]:
        said, without = self._read()
        given: dict[str, list[tuple[LedgerOrder, How]]] = defaultdict(list)
        for item in said:
            if item.whole:
                self._whole(item, given)
        # Cut tags come last, so that the ids that this plan gives count among those that may fit.
        new = [(name, rows[0][0]) for name, rows in sorted(given.items())]
        for item in said:
            if not item.whole:
                self._cut(item, given, new)
        return [naming for name in sorted(given) for naming in self._checked(name, given[name])], self.left, without

    def _read(self) -> tuple[list[_Said], list[LedgerOrder]]:
        said: list[_Said] = []
        without: list[LedgerOrder] = []
        for row in self.facts.rows:
            client = self.policy.tags.client_order_id(row.client_order_id)
            sub = self.policy.tags.sub_tag(row.sub_tag)
            if client is None and sub is None:
                stranger = self.policy.tags.stranger(row.client_order_id, row.sub_tag)
                if stranger is None:
                    without.append(row)
                else:
                    self.left += left_alone([row], Why.TAG_UNKNOWN, stranger)
                continue
            why = self._refused(row, client, sub)
            if why is not None:
                self.left += left_alone([row], why)
            else:
                spelt = _spelt(row, client) if client is not None else ""
                begins = sub.trades[0] if sub is not None else ""
                said.append(_Said(row, client.trades if client is not None else (), spelt, begins))
        return said, without

    def _refused(self, row: LedgerOrder, client: Tag | None, sub: Tag | None) -> Why | None:
        """Return why a row's tags cannot be followed, whatever trades there are."""
        if not readable(row):
            return Why.UNREADABLE
        for tag in (client, sub):
            if tag is not None and (tag.profile_id is None or not tag.trades):
                return Why.TAG_UNKNOWN
            if tag is not None and tag.profile_id != row.profile_id:
                return Why.TAG_OF_ANOTHER_PROFILE
        if row.exchange_order_id and row.exchange_order_id in self.facts.booked:
            return Why.BOOKED_ALREADY
        return self._against_itself(row, client, sub)

    def _against_itself(self, row: LedgerOrder, client: Tag | None, sub: Tag | None) -> Why | None:
        """Return how a row's tags contradict each other, or what the row does."""
        action = said_action(row) or row.order_action
        ending = (row.client_order_id or "").strip().lower()
        if client is not None and action is not None:
            says_exit = ending.endswith(_EXIT_END)
            if (client.is_entry and action.value == "EXIT") or (says_exit and action.value == "ENTRY"):
                return Why.TAG_AGAINST_ACTION
        if (
            client is not None
            and sub is not None
            and not any(abbreviates(sub.trades[0], name) for name in client.trades)
        ):
            return Why.TAGS_CONFLICT
        return None

    def _whole(self, item: _Said, given: dict[str, list[tuple[LedgerOrder, How]]]) -> None:
        """Give a row the trade that its client order id names: one that is there, as it is spelt there, else anew."""
        spellings = {trade.trade_id for name in item.whole for trade in self.known.get(name, ())}
        if len(spellings) > 1:
            self.left += left_alone([item.row], Why.TAG_AMBIGUOUS, ", ".join(sorted(spellings)))
            return
        name = next(iter(spellings), item.spelt)
        if not is_well_formed(name):
            self.left += left_alone([item.row], Why.TAG_MALFORMED, name)
            return
        if item.beginning and not abbreviates(item.beginning, name.lower()):
            self.left += left_alone([item.row], Why.TAGS_CONFLICT, name)
            return
        given[name].append((item.row, How.CLIENT_ORDER_ID))

    def _cut(
        self,
        item: _Said,
        given: dict[str, list[tuple[LedgerOrder, How]]],
        new: Sequence[tuple[str, LedgerOrder]],
    ) -> None:
        """Give a row the one trade of its profile and symbol that its sub-tag fits."""
        row, token = item.row, self._token(item.row.symbol)
        fitting = {
            trade.trade_id
            for trade in self.facts.trades
            if trade.profile_id == row.profile_id
            and self._token(trade.symbol) == token
            and abbreviates(item.beginning, trade.trade_id.lower())
        }
        fitting |= {
            name
            for name, first in new
            if self._token(first.symbol) == token and abbreviates(item.beginning, name.lower())
        }
        if len(fitting) != 1:
            self.left += left_alone([row], Why.TAG_MAY_BE_CUT, ", ".join(sorted(fitting)))
            return
        [name] = fitting
        if not is_well_formed(name):
            self.left += left_alone([row], Why.TAG_MALFORMED, name)
            return
        given[name].append((row, How.SUB_TAG))

    def _checked(self, name: str, given: Sequence[tuple[LedgerOrder, How]]) -> Iterable[Naming]:
        """Return the namings of one trade, none where the trade is not the rows' own or would be broken by them."""
        rows = [row for row, _ in given]
        others = self.known.get(name.lower(), [])
        why: Why | None = None
        if any(trade.profile_id != self.facts.profile_id for trade in others):
            why = Why.TRADE_OF_ANOTHER_PROFILE
        elif len({self._token(row.symbol) for row in rows} | {self._token(trade.symbol) for trade in others}) > 1:
            why = Why.TRADE_OF_ANOTHER_SYMBOL
        elif self._breaks(name, rows):
            why = Why.WOULD_BREAK_TRADE
        elif self._widens(name, given):
            why = Why.TAG_MAY_BE_CUT
        if why is not None:
            self.left += left_alone(rows, why, name)
            return []
        return [
            Naming(self.facts.profile_id, mine[0].symbol or "", name, how, tuple(mine))
            for how in (How.CLIENT_ORDER_ID, How.SUB_TAG)
            if (mine := [row for row, by in given if by is how])
        ]

    def _breaks(self, name: str, rows: Sequence[LedgerOrder]) -> bool:
        """Say whether a trade would be out of order, over-exited or unreadable with rows added."""
        there = [row for row in self.facts.named if row.trade_id == name]
        filled = [row for row in rows if row.status is StatusClass.FILLED]
        if not filled:
            return False
        marked = [*there, *(_of_trade(row, name) for row in filled)]
        for piece in slices_of(marked, self.policy.symbols):
            mine = [row for row in marked if row.status is StatusClass.FILLED and row.qty > NOTHING]
            if piece.defect is not None or piece.open_qty < -NOTHING or late_entry(mine, piece.entry_side) is not None:
                return True
            sides = {row.side for row in mine if not is_exit(row) and said_action(row) is not None}
            if len(sides) > 1:
                return True
        return False

    def _widens(self, name: str, given: Sequence[tuple[LedgerOrder, How]]) -> bool:
        """Say whether rows with a cut tag would leave more open of a trade than there was: then it may be another's.

        Until the trade that such a tag names has its id, the only one that fits may be a namesake.
        """
        cut = [row for row, how in given if how is How.SUB_TAG and row.status is StatusClass.FILLED]
        if all(self._sub_trade(row) == name.lower() for row in cut):
            return False
        there = [row for row in self.facts.named if row.trade_id == name and row.status is StatusClass.FILLED]
        there += [row for row, how in given if how is not How.SUB_TAG and row.status is StatusClass.FILLED]
        before, after = (entered - left for entered, left in (sums(there), sums([*there, *cut])))
        return abs(after) > abs(before)

    def _sub_trade(self, row: LedgerOrder) -> str:
        tag = self.policy.tags.sub_tag(row.sub_tag)
        return tag.trades[0] if tag is not None and tag.trades else ""

    def _token(self, symbol: str | None) -> str:
        return self.policy.symbols.token(symbol) if symbol else ""


def _of_trade(row: LedgerOrder, name: str) -> LedgerOrder:
    return replace(row, trade_id=name)


def _spelt(row: LedgerOrder, tag: Tag) -> str:
    """Return the trade that a client order id names as the row spells it, without an ending of the grammar."""
    text = (row.client_order_id or "").strip()
    lower = text.lower()
    for ending in (_ENTRY_END, _EXIT_END):
        if lower.endswith(ending) and len(tag.trades) > 1:
            text = text[: -len(ending)]
            break
    return text[len(text) - len(tag.trades[0]) :]
