"""`explain`: one trade's timeline - its ledger rows, the venue's evidence, the attribution, the decision and why."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches

from trueup.core.audit import DONE, PENDING, AuditRow
from trueup.core.decimals import exactly, plain
from trueup.core.errors import ConfigurationError, UnknownName
from trueup.core.orders import Action, LedgerOrder, Said, Side, StatusClass, word
from trueup.core.repair.attribution import Attribution
from trueup.core.repair.booked import BookedIndex
from trueup.core.repair.decisions import INCONCLUSIVE_REASONS, Decision
from trueup.core.repair.evidence import Evidence, evidence_of
from trueup.core.repair.plan import Wanted, plan_account
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.slices import Slice, action_of, slices_of
from trueup.core.times import iso, read_time
from trueup.ports import Profile
from trueup.service.app import App
from trueup.service.backfill_report import coverage_json
from trueup.service.gather import Gathered, by_account, gather
from trueup.service.unattributed import MAYBE_BOOKED, SEVERAL_TRADES, UNMATCHED


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of a timeline: when (epoch ms), where it is from (ledger, venue, audit), what, and what it changed.

    `at_ms` is None for a ledger row whose time cannot be read: such a row stands at the end. `open_after` is what the
    ledger believes to be open after it, for filled rows alone; `fate` says what became of evidence: booked, assigned,
    quarantined, unmatched or out of scope. An order that a row names and that is none of these is not booked, or
    nothing of it is executed.
    """

    at_ms: int | None
    source: str
    what: str
    identity: str
    qty: str | None = None
    price: str | None = None
    open_after: str | None = None
    fate: str | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A row of the trade that a repair or a heal wrote and that a person took back: no run writes it again."""

    order_id: str
    batch_id: str
    at: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of one trade of one profile; `working` counts its orders that may still fill."""

    trade_id: str
    profile: Profile
    slice: Slice | None
    timeline: tuple[Moment, ...]
    decisions: tuple[Decision, ...]
    gathered: Gathered
    symbol: str | None = None
    working: int = 0
    taken_back: tuple[TakenBack, ...] = ()

    @property
    def verdicts(self) -> list[tuple[str, str, str]]:
        """Return outcome, reason and rationale of each decision; a closed trade needs none."""
        return [(d.outcome.value, d.reason, d.why) for d in self.decisions]

    @property
    def exit_code(self) -> int:
        """Return 3 where the venue, or a feed or row that the decision needed, could not be read in full, else 0."""
        undecided = {decision.reason for decision in self.decisions} & INCONCLUSIVE_REASONS
        return 3 if self.gathered.venue_error is not None or undecided else 0

    def as_json(self) -> dict[str, object]:
        """Return the document that `explain --format json` prints."""
        piece = self.slice
        return {
            "trade_id": self.trade_id,
            "profile_id": self.profile.profile_id,
            "account": self.gathered.account.name,
            "symbol": self.symbol,
            "entry_qty": plain(piece.entry_qty) if piece else None,
            "exit_qty": plain(piece.exit_qty) if piece else None,
            "open_qty": plain(piece.open_qty) if piece else None,
            "coverage": coverage_json(self.gathered.snapshot),
            "as_of": iso(self.gathered.snapshot.as_of_ms),
            "error": self.gathered.venue_error.what if self.gathered.venue_error is not None else None,
            "timeline": [
                {
                    "at": iso(m.at_ms) if m.at_ms is not None else None, "source": m.source, "what": m.what,
                    "id": m.identity, "qty": m.qty, "price": m.price, "open_after": m.open_after, "fate": m.fate,
                }
                for m in self.timeline
            ],
            "decisions": [
                {
                    "decision": d.outcome.value, "reason": d.reason, "why": d.why,
                    "order_id": d.exit.order_id if d.exit else None,
                    "qty": plain(d.exit.qty) if d.exit else None, "metadata": d.metadata,
                }
                for d in self.decisions
            ],
            "taken_back": [
                {"order_id": one.order_id, "batch_id": one.batch_id, "reverted_at": one.at} for one in self.taken_back
            ],
        }  # fmt: skip


def explain(app: App, trade_id: str, profile_id: str | None = None) -> Explanation:
    """Explain one trade; where several profiles have a trade of that id, the profile must be named."""
    rows = app.ledger.trade_rows(trade_id, [profile_id] if profile_id else None)
    whose = f" of profile {profile_id!r}" if profile_id else ""
    owners = sorted({row.profile_id for row in rows})
    if not owners:
        raise UnknownName(f"The ledger has no trade {trade_id!r}{whose}.", _meant(app, trade_id))
    if len(owners) > 1:
        raise ConfigurationError(
            f"Several profiles have a trade {trade_id!r}: {', '.join(owners)}.", "Name one with --profile ID."
        )
    profile = next((p for p in app.ledger.profiles() if p.profile_id == owners[0]), None)
    if profile is None:
        raise ConfigurationError(f"The trade is of profile {owners[0]!r}, which is not in the profiles table.")
    gathered = gather(app, next(iter(by_account(app, [profile]))))
    slices = [s for s in slices_of(rows, gathered.account.symbols) if s.trade_id == trade_id]
    wanted = Wanted(frozenset({profile.profile_id}), None, frozenset({trade_id}))
    plan = plan_account(gathered.facts, wanted, app.backfill.policy)
    tokens = {gathered.account.symbols.token(row.symbol) for row in rows if row.symbol}
    audit = app.journal.audit_of_trade(profile.profile_id, trade_id) if app.journal.audit_exists() else []
    moments = [*_ledger_moments(rows, slices), *(_audited(row) for row in audit if row["decision"] not in PENDING)]
    for token in sorted(tokens & plan.attributions.keys()):
        moments += _venue_moments(plan.attributions[token], (profile.profile_id, trade_id))
    told = {m.identity for m in moments if m.source == "venue"}
    cited = {row.exchange_order_id or row.order_id for row in rows if row.status is StatusClass.FILLED}
    moments += _booked_moments(gathered, tokens, cited - told, app.backfill.policy)
    told = {m.identity for m in moments if m.source == "venue"}
    moments += _order_moments(gathered, tokens, rows, told)
    return Explanation(
        trade_id=trade_id,
        profile=profile,
        slice=slices[0] if slices else None,
        timeline=tuple(sorted(moments, key=_place)),
        decisions=plan.profiles[profile.profile_id].decisions,
        gathered=gathered,
        symbol=slices[0].symbol if slices else next((row.symbol for row in rows if row.symbol), None),
        working=sum(row.status is StatusClass.WORKING for row in rows),
        taken_back=tuple(
            TakenBack(str(row["backfill_order_id"]), str(row["batch_id"]), str(row["reverted_at"]))
            for row in audit
            if row["decision"] in DONE and row["reverted_at"] is not None
        ),
    )


def _place(moment: Moment) -> tuple[bool, int, int, str]:
    """Return where a moment stands: in the order of time, those without one at the end."""
    return (moment.at_ms is None, moment.at_ms or 0, _ORDER[moment.source], moment.identity)


def _meant(app: App, trade_id: str) -> str:
    """Return the known trades nearest to a misspelt one: those that may be open, and those that the audit names."""
    rows = app.ledger.open_trade_rows([profile.profile_id for profile in app.ledger.profiles()])
    known = {row.trade_id for row in rows if row.trade_id}
    if app.journal.audit_exists():
        known |= {str(row["trade_id"]) for row in app.journal.audit_rows() if row["trade_id"]}
    folded = {name.casefold(): name for name in sorted(known)}
    wanted = trade_id.casefold()
    close = sorted((name for name in folded if wanted and wanted in name), key=lambda name: (len(name), name))
    close = close or get_close_matches(wanted, folded, n=_NEAREST, cutoff=0.5)
    close = close or sorted((name for name in folded if _shortens(wanted, name)), key=lambda name: (len(name), name))
    listed = "`trueup check` lists the open ones."
    return f"Did you mean {' or '.join(folded[name] for name in close[:_NEAREST])}? {listed}" if close else listed


def _shortens(wanted: str, name: str) -> bool:
    """Say whether a name has the wanted characters in their order, as t2 shortens TRD-MSFT-2."""
    rest = iter(name)
    return bool(wanted) and all(character in rest for character in wanted)


_NEAREST = 3
_ORDER = {"ledger": 0, "venue": 1, "audit": 2}


@exactly
def _ledger_moments(rows: list[LedgerOrder], slices: list[Slice]) -> list[Moment]:
    """Return the trade's rows, each at its own time, with what is open after each filled one."""
    side, left = slices[0].entry_side if slices else Side.BUY, Decimal(0)
    moments: list[Moment] = []
    for row in sorted(rows, key=lambda r: (r.time_ms or 0, r.order_id)):
        if row.said is not None:
            moments.append(_unbooked(row, row.said))
            continue
        action = action_of(row, side)
        left += row.qty if action is Action.ENTRY else -row.qty
        moments.append(
            Moment(
                at_ms=row.time_ms,
                source="ledger",
                what=_words(action, row.side, row.status),
                identity=row.order_id,
                qty=plain(row.qty),
                price=_plain(row.price),
                open_after=plain(left),
            )
        )
    return moments


def _unbooked(row: LedgerOrder, said: Said) -> Moment:
    """Return a row that is not filled or cannot be read, as far as it can be told."""
    what = row.detail or _words(said.action or "order", said.side, word(said.status))
    if row.detail and (said.action or said.side):
        what = f"{_words(said.action or 'order', said.side)}, unreadable: {row.detail}"
    return Moment(
        at_ms=said.time_ms,
        source="ledger",
        what=what if said.time_ms is not None else f"{what}; its time cannot be read",
        identity=row.order_id,
        qty=_plain(said.qty),
        price=_plain(said.price),
    )


def _words(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part)


def _plain(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def _venue_moments(found: Attribution, trade: tuple[str, str]) -> list[Moment]:
    """Return the evidence that was given to the trade or could have been, and what became of it."""
    moments = [_evidence(item.evidence, f"assigned by {item.method}") for item in found.assigned.get(trade, [])]
    moments += [_evidence(row, SEVERAL_TRADES) for row, names in found.conflicts if trade in names]
    moments += [_evidence(row, MAYBE_BOOKED) for row, name in found.doubtful if name == trade]
    moments += [_evidence(row, UNMATCHED) for row, owner in found.unassigned if owner in (None, trade[0])]
    moments += [_evidence(row, f"out of scope: {reading.counts_for(trade[0]).value}") for row, reading in found.dropped]
    return moments


def _booked_moments(
    gathered: Gathered, tokens: set[str], cited: Collection[str], policy: BackfillPolicy
) -> list[Moment]:
    """Return the executions that the trade's rows cite and the venue still lists: what is booked is seen there too."""
    everything = replace(policy, lookback_ms=gathered.snapshot.as_of_ms)
    executed = evidence_of(gathered.snapshot, BookedIndex(), everything)
    return [
        _evidence(row, "booked")
        for token in sorted(tokens & executed.rows.keys())
        for row in executed.rows[token]
        if row.exchange_order_id in cited
    ]


def _order_moments(
    gathered: Gathered, tokens: set[str], rows: Iterable[LedgerOrder], told: Collection[str]
) -> list[Moment]:
    """Return the venue's orders that the trade's rows name and that proved nothing so far, executed or not."""
    ids, clients = set[str | None](), set[str | None]()
    for row in rows:
        ids |= {row.order_id, row.exchange_order_id}
        if row.exchange_order_id is None:
            clients.add(row.client_order_id)
    clients.discard(None)
    named = {
        order.id: order
        for order in gathered.snapshot.orders
        if gathered.account.symbols.token(order.symbol) in tokens
        and (order.id in ids or order.client_order_id in clients)
    }
    return [
        Moment(
            at_ms=order.time_ms,
            source="venue",
            what=f"{order.side} order {word(order.status)}",
            identity=order.id,
            qty=plain(order.qty),
            price=_plain(order.price),
            fate="not booked" if order.qty else "nothing executed",
        )
        for order in named.values()
        if order.id not in told
    ]


def _evidence(row: Evidence, fate: str) -> Moment:
    return Moment(
        at_ms=row.time_ms,
        source="venue",
        what=f"{row.side} executed",
        identity=row.exchange_order_id,
        qty=plain(row.qty),
        price=_plain(row.price),
        fate=fate,
    )


def _audited(row: AuditRow) -> Moment:
    return Moment(
        at_ms=read_time(row["created_at"]),
        source="audit",
        what=f"{row['decision']}: {row['reason']}{_proof(row)}",
        identity=f"#{row.seq} {row['batch_id']}",
        qty=str(row["filled_qty"]) if row["filled_qty"] is not None else None,
        price=str(row["filled_price"]) if row["filled_price"] is not None else None,
    )


def _proof(row: AuditRow) -> str:
    """Return what an audit row cites, in words; empty for a refusal."""
    method = json.loads(str(row["metadata"] or "{}")).get("matchedBy")
    return f", {row['exchange_order_id']} by {method}" if method else ""
