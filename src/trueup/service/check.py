"""`check`: compare open slices with the venue's positions and evidence, and change nothing."""

from collections import Counter
from dataclasses import dataclass, field

from trueup.core.breaks import Break, BreakKind, Comparison, compare
from trueup.core.decimals import plain
from trueup.core.errors import CannotKnow
from trueup.core.repair.plan import AccountPlan, Wanted, plan_account
from trueup.core.repair.reach import order_feed_reach
from trueup.core.times import iso
from trueup.service.app import App
from trueup.service.backfill_report import coverage_json
from trueup.service.gather import (
    Gathered,
    by_account,
    choose_profiles,
    gather,
    homeless,
    knows_symbol,
    require_symbols,
    tokens_of,
)
from trueup.service.progress import Progress, silent
from trueup.service.unattributed import Unattributed, likely_prefix, unattributed


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """What was found on one account; `unknown` names what could not be compared, with the reason.

    `unattributed` are executions that prove nothing about an open trade: information, and no breaks. `likely_prefix`
    is what many of them have where the prefix of our tags would stand.
    """

    gathered: Gathered
    plan: AccountPlan
    comparison: Comparison
    profiles: tuple[str, ...]
    unattributed: tuple[Unattributed, ...] = ()
    likely_prefix: str | None = None

    @property
    def unknown(self) -> list[tuple[str, str]]:
        """Return what could not be compared, and why."""
        found = list(self.comparison.unknown)
        needs_orders = any(b.kind in (BreakKind.GHOST_POSITION, BreakKind.SIDE_FLIP) for b in self.comparison.breaks)
        if needs_orders and order_feed_reach(self.gathered.snapshot) is None:
            found.append(("orders", "the order feed is not complete, so evidence for the ghosts may be missing"))
        return found

    @property
    def inconclusive(self) -> bool:
        """Say whether a feed that the answer needed failed or was incomplete."""
        return bool(self.unknown) or self.gathered.venue_error is not None

    def as_json(self) -> dict[str, object]:
        """Return the account's document."""
        snapshot = self.gathered.snapshot
        malformed = [*snapshot.malformed, *self.plan.evidence.malformed]
        return {
            "account": self.gathered.account.name,
            "profiles": list(self.profiles),
            "as_of": iso(snapshot.as_of_ms),
            "as_of_source": snapshot.as_of_source,
            "coverage": coverage_json(snapshot),
            "open_trades": sum(p.candidates for p in self.plan.profiles.values()),
            "unknown": [{"what": what, "why": why} for what, why in self.unknown],
            "malformed": [{"feed": str(m.feed), "where": m.where, "why": m.why} for m in malformed],
            "quarantined": [
                {"exchange_order_id": c.exchange_order_id, "why": c.why} for c in self.plan.evidence.conflicts
            ],
            "unmatched": [found.as_json() for found in self.unattributed],
            "likely_tag_prefix": self.likely_prefix,
            "outside_lookback": self.plan.evidence.outside_lookback,
            "notes": list(snapshot.notes),
            "error": self.gathered.venue_error.what if self.gathered.venue_error else None,
        }


@dataclass(slots=True)
class CheckReport:
    """What `check` found over all accounts.

    `homeless` are the profiles whose account is not known, with the reason, `unknown_symbols` the symbols asked for
    that no account knows: a misspelt name finds no break. `rows_without_trade_id` counts the filled rows that no
    trade counts: manual ones by design, which is no break.
    """

    accounts: list[AccountCheck] = field(default_factory=list)
    homeless: dict[str, CannotKnow] = field(default_factory=dict)
    unknown_symbols: list[str] = field(default_factory=list)
    rows_without_trade_id: int = 0

    @property
    def breaks(self) -> list[Break]:
        """Return all breaks."""
        return [found for account in self.accounts for found in account.comparison.breaks]

    @property
    def exit_code(self) -> int:
        """Return 3 where a needed feed failed, 1 where a break was found, else 0."""
        if self.homeless or any(account.inconclusive for account in self.accounts):
            return 3
        return 1 if self.breaks else 0

    @property
    def status(self) -> str:
        """Return OK, MISMATCH or INCONCLUSIVE."""
        return {0: "OK", 1: "MISMATCH", 3: "INCONCLUSIVE"}[self.exit_code]

    def as_json(self) -> dict[str, object]:
        """Return the document that `check --format json` prints."""
        counts = Counter(found.kind.value for found in self.breaks)
        return {
            "status": self.status,
            "accounts": [account.as_json() for account in self.accounts],
            "homeless": [{"profile_id": name, "error": str(error)} for name, error in sorted(self.homeless.items())],
            "breaks": [break_json(found) for found in self.breaks],
            "rows_without_trade_id": self.rows_without_trade_id,
            "summary": {
                "breaks": sum(counts.values()),
                "by_kind": dict(sorted(counts.items())),
                "unmatched": sum(len(account.unattributed) for account in self.accounts),
                "unknown": len(self.homeless) + sum(len(account.unknown) for account in self.accounts),
                "unknown_symbols": list(self.unknown_symbols),
            },
        }


def break_json(found: Break) -> dict[str, object]:
    """Return one break for printing."""
    return {
        "break_id": found.break_id,
        "kind": found.kind.value,
        "account": found.account,
        "profile_id": found.profile_id,
        "symbol": found.symbol,
        "trade_id": found.trade_id,
        "exchange_order_id": found.exchange_order_id,
        "ledger": plain(found.ledger) if found.ledger is not None else None,
        "venue": plain(found.venue) if found.venue is not None else None,
        "detail": found.detail,
    }


def run_check(
    app: App,
    profiles: tuple[str, ...] | None = None,
    symbols: tuple[str, ...] | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Compare the books of the chosen profiles' accounts with their venues; nothing is written."""
    require_symbols(symbols)
    chosen = choose_profiles(app, profiles)
    report = CheckReport(homeless=homeless(app, chosen, profiles), unknown_symbols=list(symbols or ()))
    placed = [profile for profile in chosen if profile.profile_id not in report.homeless]
    report.rows_without_trade_id = app.ledger.rows_without_trade([profile.profile_id for profile in chosen])
    accounts = by_account(app, placed)
    for done, (account, members) in enumerate(accounts.items()):
        progress(f"reading {account}", done, len(accounts))
        gathered = gather(app, account)
        names = frozenset(profile.profile_id for profile in members)
        tokens = tokens_of(gathered.account, symbols)
        plan = plan_account(gathered.facts, Wanted(names, tokens), app.backfill.policy)
        report.unknown_symbols = [s for s in report.unknown_symbols if not knows_symbol(gathered, s)]
        comparison = compare(gathered.facts, plan, app.backfill.policy, tokens, names)
        strays = tuple(unattributed(gathered, plan, app.backfill.policy, tokens, names))
        prefix = likely_prefix(strays, gathered.facts.known_profiles, app.backfill.policy.tag_prefix)
        report.accounts.append(AccountCheck(gathered, plan, comparison, tuple(sorted(names)), strays, prefix))
    return report
