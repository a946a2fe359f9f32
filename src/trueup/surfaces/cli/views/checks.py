"""What `check` found, for people: account by account, first what is unknown, then one line a break."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trueup.core.breaks import Break, BreakKind
from trueup.core.decimals import plain
from trueup.surfaces.cli.output import BAD, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import as_of, command, count, counts, coverage_line, moment, nobodys

if TYPE_CHECKING:
    from trueup.core.repair.evidence import EvidenceBook
    from trueup.core.snapshot import Snapshot
    from trueup.service.check import AccountCheck, CheckReport
    from trueup.service.unattributed import Unattributed

_LISTED = 10
_STRAYS = 20
_REPAIRABLE = frozenset({BreakKind.GHOST_POSITION, BreakKind.MISSING_IN_DB})


def show(report: "CheckReport", program: Sequence[str]) -> None:
    """Print the report."""
    for account in report.accounts:
        _account(account)
        say()
    for name, error in sorted(report.homeless.items()):
        say(("UNKNOWN ", WARN), (f"profile {name}", STRONG), f": {error.what}")
        say(error.do, indent=2)
        say()
    if report.rows_without_trade_id:
        number = report.rows_without_trade_id
        say(f"note: {count(number, 'filled row')} without a trade id {'is' if number == 1 else 'are'} left out")
        say()
    _ending(report, program)


def _account(account: "AccountCheck") -> None:
    gathered = account.gathered
    trades = sum(plan.candidates for plan in account.plan.profiles.values())
    say(
        "account ", (gathered.account.name, STRONG),
        f"  {', '.join(account.profiles)}; {count(trades, 'open trade')}; {as_of(gathered.snapshot)}",
    )  # fmt: skip
    if gathered.venue_error is not None:
        say(("UNREADABLE ", BAD), gathered.venue_error.what, indent=2)
        say(gathered.venue_error.do or "Nothing is known of this account.", indent=2)
    for why, names in _by_reason(account.unknown).items():
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        say(("UNKNOWN ", WARN), (", ".join(names[:_LISTED]) + more, STRONG), f": {why}", indent=2)
    if gathered.venue_error is None:
        say("coverage: ", *coverage_line(gathered.snapshot), indent=2)
    oddities(gathered.snapshot, account.plan.evidence)
    if account.plan.evidence.outside_lookback:
        say(f"executions left out: {account.plan.evidence.outside_lookback} outside the look-back", indent=2)
    _breaks(account.comparison.breaks)
    if not account.comparison.breaks and not account.inconclusive:
        say(("no break", GOOD), indent=2)
    _strays(account.unattributed)
    if account.likely_prefix is not None:
        say(
            ("hint: ", WARN), f"several of them carry tags that begin with {account.likely_prefix}. If that is how your"
            f" bot marks its orders, set TRUEUP_ORDER_TAG_PREFIX={account.likely_prefix}, or trueup_order_tag_prefix"
            " under [backfill] in trueup.toml.",
            indent=2,
        )  # fmt: skip


def _strays(found: "Sequence[Unattributed]") -> None:
    """Print the executions that nothing attributes, the newest of them where they are many."""
    if not found:
        return
    more = f", the newest {_STRAYS}; --format json has all" if len(found) > _STRAYS else ""
    thing = count(len(found), "execution")
    say(f"{thing} within the look-back that the ledger has not booked and no open trade took (no break){more}:",
        indent=2)  # fmt: skip
    columns = (
        Column("time"), Column("symbol"), Column("side"), Column("qty", number=True), Column("price", number=True),
        Column("execution", below=True), Column("why", below=True),
    )  # fmt: skip
    rows = [(stray.evidence, stray.why) for stray in found[-_STRAYS:]]
    table(
        columns,
        [
            [
                moment(row.time_ms), row.symbol, row.side.value, plain(row.qty),
                plain(row.price) if row.price is not None else "-", row.exchange_order_id, why,
            ]
            for row, why in rows
        ],
    )  # fmt: skip


def _by_reason(unknown: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what is unknown by the reason, so that one broken feed is one line."""
    reasons: dict[str, list[str]] = {}
    for what, why in unknown:
        reasons.setdefault(why, []).append(what)
    return reasons


def oddities(snapshot: "Snapshot", evidence: "EvidenceBook") -> None:
    """Print what could not be used of the venue's answer, row by row, and what was noticed in reading it."""
    for row in (*snapshot.malformed, *evidence.malformed):
        say(("malformed ", WARN), f"{row.feed} {row.where}: {row.why}", indent=2)
    for conflict in evidence.conflicts:
        say(("quarantined ", WARN), f"{conflict.exchange_order_id}: {conflict.why}", indent=2)
    for text in snapshot.notes:
        say(f"note: {text}", indent=2)


def _breaks(breaks: Sequence[Break]) -> None:
    columns = (
        Column("break"), Column("symbol"), Column("ledger", number=True), Column("venue", number=True),
        Column("profile"), Column("trade"), Column("what", below=True),
    )  # fmt: skip
    table(columns, [_row(found) for found in breaks])


def _row(found: Break) -> list[Piece]:
    quantities = [plain(qty) if qty is not None else "-" for qty in (found.ledger, found.venue)]
    what = f"{found.exchange_order_id}: {found.detail}" if found.exchange_order_id else found.detail
    return [
        (found.kind.value, BAD), found.symbol, *quantities, found.profile_id or "-", found.trade_id or "-", what
    ]  # fmt: skip


def _ending(report: "CheckReport", program: Sequence[str]) -> None:
    document = report.as_json()["summary"]
    assert isinstance(document, dict)
    style = {"OK": GOOD, "MISMATCH": BAD}.get(report.status, WARN)
    kinds = f" ({counts(document['by_kind'])})" if document["by_kind"] else ""
    say(
        (report.status, style),
        f": {count(document['breaks'], 'break')}{kinds}, {document['unknown']} unknown",
        (nobodys(report.unknown_symbols), WARN),
    )
    repairable = [found for found in report.breaks if found.kind in _REPAIRABLE]
    if repairable:
        say("See what can be proven and booked: ", (command(program, "backfill", "run", "--dry-run"), STRONG))
    elif report.breaks:
        named = next((found.trade_id for found in report.breaks if found.trade_id), None)
        if named:
            say("See one trade's story: ", (command(program, "explain", named), STRONG))
