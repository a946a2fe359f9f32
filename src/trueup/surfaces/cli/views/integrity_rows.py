"""The report on lifecycles and the giving of trade ids, for people; and the report as a table of one row a finding."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from trueup.core.integrity.kinds import ABOUT, Finding, Kind, command_for
from trueup.core.integrity.untold import MEANS
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import command, count

if TYPE_CHECKING:
    from trueup.service.histories import HistoryReport
    from trueup.service.integrity_report import IntegrityReport
    from trueup.service.trade_ids import IdReport, Reverted

LISTED = 200
"""So many findings the text shows; the other formats have all."""

NAMED = 5
"""So many profiles a command names; else it is given for all, which is what it means without any."""

COLUMNS = ("kind", "profile_id", "symbol", "trade_id", "rows", "what", "resolve", "command")


def cells(found: Finding) -> tuple[str | None, ...]:
    """Return a finding as a row of COLUMNS."""
    rows = " ".join(f"{row.table}:{row.id}" for row in found.rows)
    return (
        found.kind.value, found.profile_id, found.symbol, found.trade_id, rows, found.what, found.resolve,
        found.command,
    )  # fmt: skip


def show_report(report: "IntegrityReport", program: Sequence[str]) -> None:
    """Print the report: the findings, what cannot be known, and the counts."""
    shown: list[Finding] = []
    more = 0
    ways: dict[Kind, set[str | None]] = {}
    strangers: dict[Kind, Finding] = {}
    for found in report.findings():
        _collect(found, ways, strangers)
        if len(shown) < LISTED:
            shown.append(found)
        else:
            more += 1
    columns = (Column("kind"), Column("profile"), Column("symbol"), Column("trade"), Column("what", below=True))
    rows = [((f.kind.value, BAD), f.profile_id or "", f.symbol or "", f.trade_id or "", f.what) for f in shown]
    table(columns, rows, indent=0)
    if more:
        say(f"and {count(more, 'more finding')}: --format json has all of them")
    for item in report.unknown[:LISTED]:
        say(("UNKNOWN ", WARN), item.what)
    for words in report.left_out:
        say(("left out: ", FAINT), words)
    if report.history_without_id:
        say(f"note: {count(report.history_without_id, 'history row')} without a trade id are left out")
    _ending(report)
    _what_resolves(ways, strangers, program)
    if report.unknown_count:
        say(("unknown: ", STRONG), _OF_UNKNOWN, indent=2)


def _collect(found: Finding, ways: dict[Kind, set[str | None]], strangers: dict[Kind, Finding]) -> None:
    """Keep by kind whose findings a command resolves, and one of those that no command takes."""
    if found.stranger and found.resolve != ABOUT[found.kind].resolves:
        strangers.setdefault(found.kind, found)
    else:
        ways.setdefault(found.kind, set()).add(found.profile_id)


def _what_resolves(
    ways: Mapping[Kind, set[str | None]], strangers: Mapping[Kind, Finding], program: Sequence[str]
) -> None:
    for kind in [kind for kind in Kind if kind in ways]:
        names = sorted(name for name in ways[kind] if name)
        words, typed = ABOUT[kind].resolves, command_for(kind, names if len(names) <= NAMED else ())
        if typed is not None:
            words += f" ({command(program, *typed.split()[1:])})"
        say((f"{kind.value}: ", STRONG), words, indent=2)
    for kind, found in strangers.items():
        say((f"{kind.value} of {found.profile_id or 'no profile'}: ", STRONG), found.resolve, indent=2)


_OF_UNKNOWN = (
    "correct the rows, or the map of columns in trueup.toml; until then nothing is said about the positions of their"
    " symbols (of a row without a symbol: about no position of its profile)"
)


def _ending(report: "IntegrityReport") -> None:
    if report.clean:
        agree = "nothing is wrong in the rest" if report.left_out else "orders, positions and history agree"
        say(("clean", GOOD), f": {agree}")
        return
    counted = ", ".join(f"{number} {kind}" for kind, number in report.counts.items())
    unknown = f"{report.unknown_count} unknown" if report.unknown_count else ""
    say(("not clean", BAD), f": {', '.join(part for part in (counted, unknown) if part)}")


def show_naming(report: "IdReport", program: Sequence[str]) -> None:
    """Print what was given, or would be, and what is left for a person."""
    verb = "would get" if report.dry_run else "got"
    rows = [
        (naming.profile_id, naming.symbol, naming.trade_id, naming.how.value, " ".join(r.order_id for r in naming.rows))
        for naming in report.namings[:LISTED]
    ]
    table((Column("profile"), Column("symbol"), Column("trade"), Column("by"), Column("orders", below=True)), rows)
    if len(report.namings) > LISTED:
        say(f"and {len(report.namings) - LISTED} more")
    blanks = sum(report.blanks.values())
    say(
        f"{count(report.named_rows, 'row')} {verb} a trade id; {count(blanks, 'blank id')}"
        f" {'would become' if report.dry_run else 'became'} NULL"
    )  # fmt: skip
    if report.manual:
        would = "would be" if report.dry_run else "were" if len(report.manual) > 1 else "was"
        say(f"{count(len(report.manual), 'row')} {would} marked as not the bot's: {' '.join(report.manual)}")
    left = [
        ((item.why.value, WARN), item.profile_id, item.symbol or "", " ".join(row.order_id for row in item.rows),
         f"{report.means(item)}{f' ({item.about})' if item.about else ''}")
        for item in report.left[:LISTED]
    ]  # fmt: skip
    if left:
        say(f"left for a person: {count(sum(len(item.rows) for item in report.left), 'row')}")
        columns = (Column("why"), Column("profile"), Column("symbol"), Column("orders"), Column("means", below=True))
        table(columns, left)
    _blanks_left(report)
    if report.dry_run and not report.plan_hash:
        say("Nothing was written. Without --dry-run, and with --reason TEXT, it is.")
    elif report.dry_run and (report.namings or blanks):
        say("Give exactly these: ", (command(program, *_BACKFILL, "--apply", "--plan", report.plan_hash), STRONG))
    elif report.batch_id:
        taken = command(program, *_BACKFILL, "--revert", report.batch_id, "--reason", "TEXT")
        say(f"batch {report.batch_id}; taken back with: ", (taken, STRONG))
    if left:
        by_hand = command(program, *_BACKFILL, "--assign", "ORDER_ID=TRADE_ID", "--reason", "TEXT")
        say("Decide by hand: ", (by_hand, STRONG), ", or --manual ORDER_ID for a row that is not the bot's")


def _blanks_left(report: "IdReport") -> None:
    if not report.blanks_left:
        return
    named = ", ".join(f"{item.table}:{item.row_id or '(no id)'}" for item in report.blanks_left[:LISTED])
    say((f"left for a person: {count(len(report.blanks_left), 'blank id')}", WARN), f" ({named})")
    say(report.blanks_why or _NOT_ALONE, indent=2)


_NOT_ALONE = (
    "The rows changed meanwhile, or no single row has that id. Run the command again; give each row an id of its own,"
    " or set its trade id to NULL, by hand."
)


_BACKFILL = ("integrity", "backfill")


def show_histories(report: "HistoryReport", program: Sequence[str]) -> None:
    """Print which history rows were added, or would be, and which closed trades are left without one."""
    shown = report.trades[:LISTED]
    table((Column("profile"), Column("trade")), [list(named) for named in shown])
    number = report.added.total()
    if number > len(shown):
        say(f"and {number - len(shown)} more")
    say(f"{count(number, 'history row')} {'would be added' if report.dry_run else 'added'}")
    if report.left:
        rows: list[list[Piece]] = [
            [(item.why.value, WARN), item.profile_id, item.trade_id, MEANS[item.why]]
            for item in report.left[:LISTED] if item.why is not None
        ]  # fmt: skip
        say(f"left: {count(report.left_counts.total(), 'closed trade')} without a history row")
        table((Column("why"), Column("profile"), Column("trade"), Column("means", below=True)), rows)
    if report.dry_run and number:
        exactly = command(program, "integrity", "history", "--apply", "--plan", report.plan_hash)
        say("Add exactly these: ", (exactly, STRONG))
    elif report.batch_id:
        taken = command(program, "integrity", "history", "--revert", report.batch_id, "--reason", "TEXT")
        say(f"batch {report.batch_id}; taken back with: ", (taken, STRONG))


def show_reverted(result: "Reverted") -> None:
    """Print what was taken back."""
    done = "would be taken back" if result.dry_run else "taken back"
    say((done, GOOD), f": {count(result.changed, 'row')} of batch {result.batch_id}")
    if result.dry_run:
        say("Nothing was written. Without --dry-run, and with --reason TEXT, it is.")
    if result.unchanged:
        say(f"{count(result.unchanged, 'row')} were taken back before")


def lines(found: Iterable[Finding]) -> Iterator[list[str]]:
    """Yield findings as the rows of a CSV file."""
    for item in found:
        yield [cell or "" for cell in cells(item)]
