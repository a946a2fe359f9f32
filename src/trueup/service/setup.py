"""Laying down the tables, and the doctor."""

from dataclasses import replace

from trueup.core.errors import TrueupError, nearest
from trueup.core.snapshot import Feed, Snapshot
from trueup.ports import EVERYTHING, Check, InitReport, ReadScope
from trueup.service.app import Account, App
from trueup.service.gates import allowlisted_strangers
from trueup.service.gather import wanted_of
from trueup.service.switching import inspect_switches


def initialise(app: App) -> InitReport:
    """Create what is missing and add or change the profiles of trueup.toml."""
    return app.setup.initialise(app.configured)


def doctor(app: App) -> list[Check]:
    """Check the whole set-up, and say what to do about each failure."""
    checks = app.checks() + app.setup.inspect()
    checks.append(
        Check(
            "accounts",
            bool(app.accounts),
            ", ".join(sorted(app.accounts)) or "none",
            "Add [[accounts]] to trueup.toml.",
        )
    )
    for account in app.accounts.values():
        checks += _account(account, _scope(app, account))
    return checks + _profiles(app) + inspect_switches(app)


def _scope(app: App, account: Account) -> ReadScope:
    """Return what a run would read of an account; everything where the ledger cannot say."""
    try:
        return wanted_of(app, account)
    except TrueupError:
        return EVERYTHING


def exit_code(checks: list[Check]) -> int:
    """Return the worst of what the failures mean."""
    return max((check.exit_code for check in checks if not check.ok), default=0)


def _account(account: Account, scope: ReadScope) -> list[Check]:
    name = f"venue of {account.name}"
    try:
        venue = account.venue()
        checks = [replace(check, name=f"{name}: {check.name}") for check in venue.inspect(scope)]
        if any(not check.ok and check.exit_code for check in checks):
            return checks
        snapshot = venue.read(scope)
    except TrueupError as error:
        return [Check(name, False, error.what, error.do, error.exit_code)]
    checks += [
        Check(name, True, f"{len(snapshot.orders)} orders, {len(snapshot.fills)} fills, {len(snapshot.legs)} legs")
    ]
    positions_given = snapshot.feed(Feed.POSITIONS).given or snapshot.feed(Feed.BALANCES).given
    needed = [Feed.POSITIONS if snapshot.feed(Feed.POSITIONS).given or not positions_given else Feed.BALANCES]
    told = {check.name for check in checks}
    feeds = {feed: _feed(name, snapshot, feed) for feed in [*needed, Feed.CLOSED_ORDERS]}
    checks += [found for feed, found in feeds.items() if f"{name}: feed {feed}" not in told or not found.ok]
    checks += [_symbol(name, symbol, why, scope) for symbol, why in _unknown(snapshot, scope).items()]
    if snapshot.malformed:
        first = snapshot.malformed[0]
        checks.append(
            Check(
                f"{name}: rows", False, f"{len(snapshot.malformed)} malformed, first {first.where}: {first.why}",
                "They are excluded; mend the export.", 0,
            )
        )  # fmt: skip
    return checks


def _unknown(snapshot: Snapshot, scope: ReadScope) -> dict[str, str]:
    """Return the symbols that the ledger names and of which the venue says nothing, with the reason.

    A row that cannot be read is told among the malformed ones.
    """
    malformed = tuple(f"{row.where}: " for row in snapshot.malformed)
    unknown = {symbol: why for symbol, why in snapshot.unknown_symbols.items() if not why.startswith(malformed)}
    tokens = {snapshot.symbols.token(symbol): why for symbol, why in unknown.items()}
    found = {symbol: tokens.get(snapshot.symbols.token(symbol)) for symbol in scope.symbols}
    return {symbol: why for symbol, why in found.items() if why is not None}


def _symbol(name: str, symbol: str, why: str, scope: ReadScope) -> Check:
    """Return the finding of a symbol that is unknown: what the ledger holds of it cannot be compared."""
    if symbol not in scope.held:
        return Check(f"{name}: symbol {symbol}", False, why, "A managed symbol: correct it in trueup.toml.", 0)
    do = "Its trades stay unresolved until the reason is gone."
    return Check(f"{name}: symbol {symbol}", False, why, do, 3)


def _feed(name: str, snapshot: Snapshot, feed: Feed) -> Check:
    cover = snapshot.feed(feed)
    do = "What depends on it stays unresolved. Export the whole feed."
    return Check(f"{name}: {feed.value}", cover.complete, f"{cover.state.value} {cover.reason}".strip(), do, 3)


def _profiles(app: App) -> list[Check]:
    """Check that every profile has an account, and that trueup.toml's profiles are in the database."""
    checks: list[Check] = []
    try:
        stored = app.ledger.profiles()
    except TrueupError as error:
        return [Check("profiles", False, error.what, error.do, error.exit_code)]
    for profile in stored:
        try:
            app.account_of(profile)
        except TrueupError as error:
            checks.append(Check(f"profile {profile.profile_id}", False, error.what, error.do))
    checks += [Check("profiles", False, said, "Run `trueup init`.") for said in missing_profiles(app)]
    strangers = allowlisted_strangers(app)
    if strangers:
        do = f"Correct RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST. {nearest(strangers[0], [p.profile_id for p in stored])}"
        checks.append(Check("allowlist", False, f"no profile is called {', '.join(strangers)}", do, 0))
    return checks


def missing_profiles(app: App) -> list[str]:
    """Say which profiles of trueup.toml the ledger does not have: new or renamed ones, of which nothing is known yet.

    One sentence, or none where it has them all.
    """
    missing = {profile.profile_id for profile in app.configured} - {p.profile_id for p in app.ledger.profiles()}
    if not missing:
        return []
    return [f"{', '.join(sorted(missing))}: in trueup.toml, but not in the ledger yet (new, or renamed)"]


def remarks(app: App, *, repairs: bool) -> list[str]:
    """Return what is odd about the set-up and keeps no command from running; the allowlist counts for repairs."""
    said = [f"profile {missing}; run `trueup init`" for missing in missing_profiles(app)]
    strangers = allowlisted_strangers(app) if repairs else []
    if strangers:
        said.append(f"RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST names {', '.join(strangers)}, which is no profile")
    return said
