"""Comparing the orders of an account: every order of the venue and every row that should have one.

Invariants 5 (Not found is not absent) and 9 (Deterministic): a row whose order the venue does not list is a question
to be asked, never an answer; the same facts in any order give the same findings.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from trueup.core.breaks import Break
from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.orders import Action, LedgerOrder, StatusClass
from trueup.core.reconcile.changes import (
    DIFFERENCE_PREFIX,
    PARITY_PREFIX,
    Change,
    NewRow,
    Proof,
    added_id,
)
from trueup.core.reconcile.handlers import (
    PARTIALLY_FILLED,
    cancel_row,
    late_row,
    own_rows,
    proof_of,
    reconcile_cancel,
    reconcile_entry_fill,
    reconcile_exit_fill,
    row_side_differs,
    surplus_rows,
)
from trueup.core.reconcile.importing import Owner, OwnerReader, TradeName, ending_of, import_row
from trueup.core.reconcile.matching import OUR_PREFIXES, Chain, Matches, Pair, Standing, chains_of, match, row_time
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.reconcile.table import Do, Facts, Rule, booked_as, rule_for
from trueup.core.repair.evidence import executions_of
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.reach import order_feed_reach
from trueup.core.repair.rows import NAMES_NO_ORDER
from trueup.core.repair.slices import Slice, said_action
from trueup.core.snapshot import Feed, Snapshot
from trueup.core.tags import comparable, is_tagged


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one order: the row of the table, the changes that would heal it, and the break.

    `do` is the rule's, or what it became: QUARANTINE with `why` where the heal cannot be made. `profile_id` None is an
    order of nobody; `stranger` is the profile that such an order's tag names and that is not known.
    """

    rule: Rule
    pair: Pair
    facts: Facts
    do: Do
    why: str
    profile_id: str | None
    trade_id: str | None
    symbol: str
    token: str
    time_ms: int
    changes: tuple[Change, ...] = ()
    stranger: str | None = None

    @property
    def lead(self) -> LedgerOrder | None:
        """Return the row that a heal would change."""
        return self.facts.lead

    def as_break(self, account: str) -> Break | None:
        """Return the break, None where ledger and venue agree."""
        if self.rule.kind is None:
            return None
        chain = self.pair.chain
        named = chain.newest_id if chain is not None else None
        if named is None and self.lead is not None:
            named = self.lead.exchange_order_id or self.lead.client_order_id or self.lead.order_id
        executed = None if chain is None else self.facts.executed
        return Break(
            self.rule.kind, account, self.symbol, self.facts.booked, executed, self.why,
            profile_id=self.profile_id, trade_id=self.trade_id, exchange_order_id=named,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What a comparison of an account's orders depends on.

    `rows` are those to compare, `slices` the open trades of all profiles of the account, `spelt` the profile and the
    lower-case id of trades that the ledger has, open or not, among those that the venue's tags name; `unentered` are
    those of them of which no row books anything, among those that an order without a row names.
    """

    snapshot: Snapshot
    rows: tuple[LedgerOrder, ...]
    slices: tuple[Slice, ...]
    profiles: frozenset[str]
    known_profiles: frozenset[str]
    policy: BackfillPolicy
    rules: ReconcilePolicy
    users: Mapping[str, str | None] = field(default_factory=dict)
    spelt: frozenset[tuple[str, str]] = frozenset()
    unentered: Mapping[TradeName, str] = field(default_factory=dict)


@exactly
def compare_orders(facts: OrderFacts) -> list[Finding]:
    """Return what is found about each order, oldest first; those on which both agree are left out."""
    snapshot = facts.snapshot
    chains = chains_of(executions_of(snapshot, facts.policy.grace_ms), snapshot.symbols)
    settled_ms = snapshot.as_of_ms - facts.rules.settle_ms
    reach = order_feed_reach(snapshot)
    listed_ms = reach + facts.policy.grace_ms if reach is not None else snapshot.as_of_ms
    matches = match(chains, facts.rows, snapshot.symbols, facts.policy.tag_prefix, settled_ms, listed_ms)
    judge = _Judge(facts, matches, reach)
    found = [judge.pair(pair) for pair in matches.pairs]
    found += [judge.alone(pair) for pair in matches.alone if _should_have_an_order(pair.rows[0])]
    findings = [finding for finding in found if finding is not None]
    return sorted(findings, key=lambda each: (each.time_ms, each.token, each.rule.name, _name(each)))


def _name(finding: Finding) -> str:
    chain, lead = finding.pair.chain, finding.lead
    return chain.newest_id if chain is not None else lead.order_id if lead is not None else ""


def _should_have_an_order(row: LedgerOrder) -> bool:
    """Say whether a row is about an order of the venue at all: dead ones changed nothing, dust names none."""
    if row.status is StatusClass.DEAD:
        return False
    named = row.exchange_order_id or ""
    return not (named.startswith(NAMES_NO_ORDER) or row.order_id.startswith(PARITY_PREFIX))


def _oldest(pair: Pair) -> int | None:
    """Return the time of the oldest row of a pair; None where one of them has none that can be read."""
    times = [row_time(row) for row in pair.rows]
    return None if None in times else min((time for time in times if time is not None), default=None)


def _require_readable(row: LedgerOrder) -> None:
    """Raise ValueError where a row could not be read any more once it booked something."""
    if row.order_side is None or row.order_ms is None or row.action_unknown:
        what = "side" if row.order_side is None else "time" if row.order_ms is None else "action"
        raise ValueError(f"its {what} in the ledger cannot be read, so that what it would book could not be either")


class _Judge:
    """Decides about pairs, one at a time."""

    def __init__(self, facts: OrderFacts, matches: Matches, reach: int | None) -> None:
        self._facts, pairs = facts, matches.pairs
        self._reach = reach
        self._owners = OwnerReader(
            facts.policy.tag_prefix, facts.known_profiles, facts.slices, facts.spelt, facts.unentered, facts.rows
        )
        for pair in pairs:
            if pair.chain is not None:
                self._owners.hear(pair.chain)
            if pair.chain is not None and pair.doubt is None:
                for row in pair.rows:
                    self._owners.expect(row, pair.chain)
        self._owners.meet(pair.chain for pair in pairs if pair.chain is not None and not pair.rows)
        self._trades = {(piece.profile_id, piece.trade_id, piece.token): piece for piece in facts.slices}
        self._unbooked = {
            (row.profile_id, row.trade_id, row.side or row.order_side)
            for row in facts.rows
            if row.status is not StatusClass.FILLED
        }
        listed = {name for pair in pairs if pair.chain is not None for name in pair.chain.ids}
        self._of_newer = {
            comparable(facts.policy.tag_prefix, row.client_order_id)
            for row in facts.rows
            if row.client_order_id and row.exchange_order_id and row.exchange_order_id not in listed
            and not self._settled(row_time(row) or 0)
        }  # fmt: skip
        self._rowless = {
            (pair.chain.token, pair.chain.side, pair.chain.time_ms)
            for pair in pairs
            if pair.chain is not None and not pair.rows and pair.chain.executed > NOTHING
        }
        self._beyond: dict[tuple[str, str | None], list[LedgerOrder]] = defaultdict(list)
        surplus = (pair for pair in pairs if pair.chain is not None and pair.booked - pair.chain.executed > NOTHING)
        for pair in (*surplus, *matches.alone):
            for row in pair.filled_rows:
                self._beyond[row.profile_id, row.trade_id].append(row)

    def _carried_on(self, chain: Chain, profile_id: str, trade_id: str | None) -> bool:
        """Say whether a row about another order of a trade may book an order of which the successor is not known.

        It is later, and books more than the venue tells of its own order: it may be the one that replaced this one.
        """
        if chain.orders and chain.standing is not Standing.REPLACED:
            return False
        first_ms = min([order.time_ms for order in chain.orders] + [part.time_ms for part in chain.parts], default=0)
        return any(
            (row_time(row) or first_ms) >= first_ms
            and (row.action is Action.EXIT or None in (row.side, chain.side) or row.side is chain.side)
            for row in self._beyond.get((profile_id, trade_id), ())
        )

    def _moved_on(self, chain: Chain) -> bool:
        """Say whether a row of just now has an order's client order id and names one that the venue does not list yet.

        It may be the order that replaced this one, and book what both executed.
        """
        clients = (name for name in chain.clients.values() if name)
        return any(comparable(self._facts.policy.tag_prefix, name) in self._of_newer for name in clients)

    def pair(self, pair: Pair) -> Finding | None:
        """Return what is found about an order that the venue lists."""
        chain = pair.chain
        assert chain is not None
        owner = self._owners.of(chain) if not pair.rows else None
        ledger, lead = booked_as(pair)
        of = lead or owner
        doubt = pair.doubt or chain.doubt or self._foreign(pair, chain)
        state = Facts(
            ledger, chain.standing, pair.booked, chain.executed, doubt, lead,
            ours=owner is not None and owner.profile_id in self._facts.profiles,
            settled=not pair.young and self._settled(chain.time_ms) and (bool(pair.rows) or not self._moved_on(chain)),
            covered=bool(chain.orders) or self._reaches(_oldest(pair)), several=len(pair.filled_rows) > 1,
            ahead=any(not self._settled(row_time(row) or 0) for row in pair.filled_rows),
            same_price=self._same_price(pair, chain), twin=late_row(pair) is not None,
            untold=pair.untold or (of is not None and self._carried_on(chain, of.profile_id, of.trade_id)),
            cut=not chain.orders and bool(pair.filled_rows) and not self._fills_reach(_oldest(pair)),
            turned=any(self._action(row, chain.token) is not Action.EXIT and row_side_differs(row, chain)
                       for row in pair.filled_rows),
            inferred=owner is not None and owner.inferred, reached=self._reaches(chain.time_ms),
        )  # fmt: skip
        return self._decided(pair, state, owner, chain.token, chain.symbol, chain.time_ms)

    def alone(self, pair: Pair) -> Finding | None:
        """Return what is found about a row of which the venue lists no order."""
        [row] = pair.rows
        ledger, lead = booked_as(pair)
        time_ms = row_time(row)
        named = bool(row.exchange_order_id or row.client_order_id)
        covered = self._reaches(time_ms)
        if row.status is StatusClass.FILLED and not (covered and named):
            return None
        state = Facts(
            ledger, Standing.NOT_FOUND, pair.booked, Decimal(0), None, lead,
            settled=time_ms is None or self._settled(time_ms), covered=covered, named=named,
        )  # fmt: skip
        symbols = self._facts.snapshot.symbols
        token = symbols.token(row.symbol) if row.symbol else ""
        return self._decided(pair, state, None, token, row.symbol or "", time_ms or 0)

    def _reaches(self, time_ms: int | None) -> bool:
        """Say whether the order feed is complete from before a time that is known."""
        if self._reach is None or time_ms is None:
            return False
        return self._reach <= time_ms - self._facts.policy.grace_ms

    def _fills_reach(self, time_ms: int | None) -> bool:
        """Say whether the fills are complete from before a time that is known."""
        fills = self._facts.snapshot.feed(Feed.FILLS)
        if not fills.complete or time_ms is None:
            return False
        return fills.since_ms is None or fills.since_ms <= time_ms - self._facts.policy.grace_ms

    def _foreign(self, pair: Pair, chain: Chain) -> str | None:
        """Return the profile that an order's tag names, where one of its rows is another profile's."""
        tagged = self._owners.profile_of(chain)
        if tagged is None or all(row.profile_id == tagged for row in pair.rows):
            return None
        return f"its tag names profile {tagged}, and the ledger books it under another one"

    def _settled(self, time_ms: int) -> bool:
        return time_ms <= self._facts.snapshot.as_of_ms - self._facts.rules.settle_ms

    def _same_price(self, pair: Pair, chain: Chain) -> bool:
        rows = pair.filled_rows
        if len(rows) != 1 or rows[0].price is None or chain.price is None:
            return True
        return abs(rows[0].price - chain.price) <= chain.price * self._facts.rules.price_tolerance

    def _decided(
        self, pair: Pair, state: Facts, owner: Owner | None, token: str, symbol: str, time_ms: int
    ) -> Finding | None:
        rule = rule_for(state)
        if rule.do is Do.NOTHING:
            return None
        lead = state.lead
        # What carries the tag of a profile that lives elsewhere is nobody's here: only the account can tell of it.
        mine = owner if state.ours else None
        profile_id = lead.profile_id if lead is not None else mine.profile_id if mine is not None else None
        trade_id = lead.trade_id if lead is not None else mine.trade_id if mine is not None else None
        finding = Finding(rule, pair, state, rule.do, _words(state, rule), profile_id, trade_id, symbol, token, time_ms)
        if rule.name == "price_differs" and pair.chain is not None and pair.chain.price is not None:
            booked = ", ".join(plain(row.price) for row in pair.filled_rows if row.price is not None)
            prices = f"booked at {booked}, executed at {plain(pair.chain.price)}"
            finding = replace(finding, why=_words(state, rule, f"{prices}. {rule.why}"))
        stranger = self._owners.stranger(pair.chain) if rule.name == "orphan" and pair.chain is not None else None
        if stranger is not None:
            finding = replace(finding, why=_words(state, rule, self._not_known(stranger)), stranger=stranger)
        try:
            return replace(finding, changes=self._changes(finding, owner))
        except ValueError as error:
            return replace(finding, do=Do.QUARANTINE, why=str(error))

    def _not_known(self, profile: str) -> str:
        known = sorted(self._facts.known_profiles)
        listed = ", ".join(known[:_NAMED]) + (" …" if len(known) > _NAMED else "")
        return f"its tag names profile {profile}, which is not known here (known: {listed})"

    def _changes(self, finding: Finding, owner: Owner | None) -> tuple[Change, ...]:
        """Return the changes that the rule asks for; ValueError says why they cannot be made."""
        chain = finding.pair.chain
        if chain is None:
            return ()
        if finding.do in _CHANGING and self._may_be_about_others(finding.pair):
            raise ValueError(OTHERS_UNLISTED)
        proof = proof_of(finding.rule.name, chain, self._facts.snapshot.as_of_ms)
        if finding.do is Do.IMPORT:
            assert owner is not None
            return (import_row(chain, owner, self._facts.users.get(owner.profile_id), proof),)
        if finding.do is Do.GIVE_WAY:
            return self._giving_way(finding, chain, proof)
        if finding.do is Do.CANCEL_DUPLICATE:
            return tuple(cancel_row(row, proof) for row in self._surplus(finding))
        lead = finding.lead
        return (self._change(finding, chain, lead, proof),) if lead is not None and finding.do in _CHANGING else ()

    def _may_be_about_others(self, pair: Pair) -> bool:
        """Say whether a row that names an order by its client order id alone is from before what the venue lists.

        A bot may give a client order id anew, as when it counts from one again.
        """
        over = (row for row in pair.filled_rows if row.order_id in pair.weak and row.word != PARTIALLY_FILLED)
        return any(not self._reaches(row_time(row)) for row in over)

    def _giving_way(self, finding: Finding, chain: Chain, proof: Proof) -> tuple[Change, ...]:
        """Return the changes that leave an order to the bot's late row, which never loses what it says already."""
        late = late_row(finding.pair)
        assert late is not None
        ours = tuple(cancel_row(row, proof) for row in own_rows(finding.pair))
        bots = [row for row in finding.pair.filled_rows if not row.order_id.startswith(OUR_PREFIXES) and row != late]
        elsewhere = sum((row.qty for row in bots), Decimal(0))
        if chain.executed - elsewhere <= late.qty:
            return ours
        leaves = self._action(late, finding.token) is Action.EXIT
        self._require_side(late, chain, finding.token, leaves=leaves)
        return (*ours, (reconcile_exit_fill if leaves else reconcile_entry_fill)(late, chain, elsewhere, proof))

    def _change(self, finding: Finding, chain: Chain, lead: LedgerOrder, proof: Proof) -> Change:
        """Return the change of a row that is there."""
        if finding.do is Do.CANCEL:
            if lead.order_id in finding.pair.weak and not self._reaches(row_time(lead)):
                raise ValueError(OTHERS_UNLISTED)
            return reconcile_cancel(lead, chain, proof)
        if finding.do is Do.BOOK_DIFFERENCE:
            return self._difference(finding, chain, lead, proof)
        if lead.status is not StatusClass.FILLED:
            _require_readable(lead)
        elsewhere = finding.pair.booked - (lead.qty if lead.status is StatusClass.FILLED else Decimal(0))
        leaves = self._action(lead, finding.token) is Action.EXIT
        self._require_side(lead, chain, finding.token, leaves=leaves)
        return (reconcile_exit_fill if leaves else reconcile_entry_fill)(lead, chain, elsewhere, proof)

    def _action(self, row: LedgerOrder, token: str) -> Action | None:
        """Return what a row does to its trade: as it says, else by its side against the open trade's entry side."""
        said = said_action(row) or row.order_action
        trade, side = self._trade(row, token), row.side or row.order_side
        if said is not None or trade is None or side is None:
            return said
        return Action.EXIT if side is trade.exit_side else Action.ENTRY

    def _require_told(self, row: LedgerOrder, chain: Chain, token: str, action: Action) -> None:
        """Raise ValueError where what a row does was only inferred, and the trade's entry may be missing.

        A silent row beside no row of the other side may be an exit of an entry that is not in the ledger, or that books
        nothing there yet; the ending of its order's tag tells. An order without any row may be that entry.
        """
        if said_action(row) is not None:
            return
        client, trade = chain.said("client_order_id"), self._trade(row, token)
        ending = ending_of(client)
        if ending not in (None, action):
            raise ValueError(f"the row would be an {action} by its side, and its order's tag says {ending}")
        one_sided = trade is None or not trade.entry_qty or not trade.exit_qty
        tagged = client is not None and is_tagged(self._facts.policy.tag_prefix, client)
        side = chain.side.opposite if chain.side is not None else None
        may_follow = (trade is not None and trade.working) or (row.profile_id, row.trade_id, side) in self._unbooked
        may_follow = may_follow or any(
            (other, way) == (token, side) and time_ms <= chain.time_ms for other, way, time_ms in self._rowless
        )
        if ending is None and one_sided and (tagged or may_follow):
            raise ValueError("neither the row nor its order's tag says whether it enters or leaves its trade")

    def _trade(self, row: LedgerOrder, token: str) -> Slice | None:
        return self._trades.get((row.profile_id, row.trade_id or "", token))

    def _require_side(self, row: LedgerOrder, chain: Chain, token: str, *, leaves: bool) -> None:
        """Raise ValueError where an order enters the trade that its row is an exit of, or the other way round.

        Some bots write the position's side into its exit, so that an exit's own side says nothing.
        """
        trade = self._trade(row, token)
        if leaves and trade is not None and chain.side is trade.entry_side and trade.entry_qty:
            raise ValueError(f"the row is an exit, and the venue's order a {chain.side}, as the trade's entry was")
        if not leaves and row_side_differs(row, chain):
            raise ValueError(f"the row is a {row.side or row.order_side}, the venue's order a {chain.side}")

    def _surplus(self, finding: Finding) -> list[LedgerOrder]:
        """Return the rows that book what others have booked; ValueError where that cannot be told."""
        surplus, weak = surplus_rows(finding.pair, finding.facts.executed, OUR_PREFIXES), finding.pair.weak
        if surplus is None:
            raise ValueError("the rows of this order are not alike, so that which of them is wrong cannot be told")
        if any(row.order_id in weak for row in surplus):
            raise ValueError("a row names this order by the client order id alone, so that it may be about another one")
        if not all(self._reaches(row_time(row)) for row in finding.pair.filled_rows if row.order_id in weak):
            raise ValueError(OTHERS_UNLISTED)
        return surplus

    def _difference(self, finding: Finding, chain: Chain, lead: LedgerOrder, proof: Proof) -> NewRow:
        """Return the row that books what an order executed beyond its own rows."""
        if chain.side is None or lead.trade_id is None or lead.symbol is None:
            raise ValueError("the row has no trade id or symbol, so that nothing can be added to its trade")
        if len({(row.profile_id, row.trade_id) for row in finding.pair.filled_rows}) > 1:
            raise ValueError("its rows are of several trades, so that which of them lacks the rest cannot be told")
        missing = finding.facts.executed - finding.facts.booked
        action = self._action(lead, finding.token)
        if action is None:
            raise ValueError("whether the row enters or leaves its trade cannot be told")
        self._require_side(lead, chain, finding.token, leaves=action is Action.EXIT)
        self._require_told(lead, chain, finding.token, action)
        parts = [
            lead.profile_id, lead.trade_id, chain.newest_id, plain(finding.facts.booked), plain(finding.facts.executed)
        ]  # fmt: skip
        name, taken = added_id(DIFFERENCE_PREFIX, *parts), {row.order_id for row in finding.pair.rows}
        while name in taken:
            # The bot took back since what an earlier difference had completed.
            parts.append("again")
            name = added_id(DIFFERENCE_PREFIX, *parts)
        return NewRow(
            name, lead.profile_id, lead.user_id, lead.trade_id, lead.symbol, chain.side, action, "filled", missing,
            chain.price or Decimal(0), chain.time_ms, proof, missing, chain.newest_id, chain.said("client_order_id"),
            chain.said("sub_tag"),
        )  # fmt: skip


OTHERS_UNLISTED = "a row names this order by the client order id alone, and others may not be listed"

_NAMED = 8
_CHANGING = frozenset({Do.BOOK, Do.BOOK_AND_CLOSE, Do.CANCEL, Do.BOOK_DIFFERENCE})


def _words(state: Facts, rule: Rule, why: str | None = None) -> str:
    """Say what was found, with its quantities."""
    if state.doubt is not None:
        return state.doubt
    lead = state.lead
    if lead is not None and lead.defect is not None:
        return lead.detail or lead.defect
    quantities = f"booked {plain(state.booked)}, executed {plain(state.executed)}"
    if state.venue is Standing.NOT_FOUND:
        quantities = f"booked {plain(state.booked)}"
    return f"{state.ledger} in the ledger, {state.venue} at the venue ({quantities}): {why or rule.why}"


def asked(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings about which the venue is to be asked for one order."""
    return [finding for finding in findings if finding.do is Do.ASK]
