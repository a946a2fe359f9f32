"""Which flattenings are due in an account: by the modes in force, and by the dead-man of a bot."""

from dataclasses import dataclass

from trueup.core.errors import ConfigurationError
from trueup.core.flatten.record import episode_of
from trueup.core.flatten.targets import Share
from trueup.core.gate import DEADMAN
from trueup.core.modes import GLOBAL, Mode, effective
from trueup.core.times import iso
from trueup.ports import ModeChange, Profile
from trueup.service.app import App
from trueup.service.events import log

ACTOR = "trueup"
BOT = "bot:"


@dataclass(frozen=True, slots=True)
class Job:
    """One flattening: the scope that demands it, in one account; `halts` is the scope that HALT is put in force for."""

    account: str
    scope: str
    halts: str
    episode: str
    share: Share


def jobs_of(app: App, account: str) -> list[Job]:
    """Return the flattenings that are due in an account; what is in HALT is left alone."""
    modes = app.modes.current()
    here = {profile.profile_id for profile in members_of(app, account)}
    wide, origin = effective(modes, (GLOBAL, f"account:{account}"))
    if wide is Mode.HALT:
        return []
    halted = {name for name in here if modes.get(f"profile:{name}") is Mode.HALT}
    if wide is Mode.FLATTEN:
        mine = frozenset(here - halted)
        share = Share(origin, mine, frozenset(halted), halted=_halted(app, account, modes, mine))
        return [_job(app, account, share, halts=f"account:{account}")]
    found = []
    for name in sorted(here):
        if modes.get(f"profile:{name}") is Mode.FLATTEN:
            found.append(share_of(app, account, f"profile:{name}"))
        elif name not in halted:
            start = f"symbol:{name}:"
            scopes = sorted(scope for scope, mode in modes.items() if mode is Mode.FLATTEN and scope.startswith(start))
            found += [share_of(app, account, scope) for scope in scopes if _owner(scope, here) == name]
    return [_job(app, account, share, halts=share.scope) for share in found]


def share_of(app: App, account: str, scope: str) -> Share:
    """Return whose orders and positions of an account a scope is about, whatever mode it is in."""
    here = frozenset(profile.profile_id for profile in members_of(app, account))
    kind, _, rest = scope.partition(":")
    if kind in (GLOBAL, "account"):
        return Share(scope, here)
    owner = rest if kind == "profile" else _owner(scope, here)
    symbols = app.accounts[account].symbols
    token = symbols.token(rest.removeprefix(f"{owner}:")) if kind == "symbol" else None
    mine = frozenset({owner})
    halted = _halted(app, account, app.modes.current(), mine)
    return Share(scope, mine, here - mine, everything=False, token=token, halted=halted)


def members_of(app: App, account: str) -> list[Profile]:
    """Return every profile of an account, enabled or not."""
    found = []
    for profile in app.ledger.profiles():
        try:
            found += [profile] if app.account_of(profile).name == account else []
        except ConfigurationError:
            continue
    return found


def heed_deadman(app: App, account: str) -> None:
    """Put FLATTEN in force for the profiles whose bot is silent, where DEADMAN_ACTION says so.

    It stays in force when the bot comes back: people loosen.
    """
    rules = app.safety.deadman
    if rules.action is not Mode.FLATTEN:
        return
    names = [profile.profile_id for profile in members_of(app, account) if profile.enabled]
    now = app.clock.now_ms()
    for scope, beat in sorted(app.heartbeats.beats([BOT + name for name in names]).items()):
        silent_ms = now - beat.healthy_ms
        if silent_ms > rules.timeout_ms:
            where, why = (
                f"profile:{scope.removeprefix(BOT)}",
                f"no healthy heartbeat of {scope} for {silent_ms // 1000} s",
            )
            done = app.modes.tighten(ModeChange(where, Mode.FLATTEN, Mode.NORMAL, DEADMAN, ACTOR, why, iso(now)))
            if done is not None:
                log(
                    "mode_changed", scope=where, mode=done.mode.name, previous=done.previous.name, source=DEADMAN,
                    actor=ACTOR,
                )  # fmt: skip


def owner_of(scope: str, profiles: frozenset[str]) -> str | None:
    """Return the profile that a scope is about; None where it is the whole account, blank for one not known."""
    kind, _, rest = scope.partition(":")
    if kind in (GLOBAL, "account"):
        return None
    return rest if kind == "profile" else _owner(scope, profiles)


def _job(app: App, account: str, share: Share, *, halts: str) -> Job:
    change = app.modes.since(share.scope)
    return Job(account, share.scope, halts, episode_of(account, share.scope, change.at if change else ""), share)


def _owner(scope: str, profiles: frozenset[str] | set[str]) -> str:
    rest = scope.partition(":")[2]
    return max((name for name in profiles if rest.startswith(f"{name}:")), key=len, default="")


def _halted(app: App, account: str, modes: dict[str, Mode], mine: frozenset[str]) -> frozenset[str]:
    """Return the symbols of profiles that are in HALT."""
    symbols = app.accounts[account].symbols
    scopes = [scope for scope, mode in modes.items() if mode is Mode.HALT and scope.startswith("symbol:")]
    owned = [(scope, _owner(scope, mine)) for scope in scopes]
    return frozenset(symbols.token(scope.removeprefix(f"symbol:{owner}:")) for scope, owner in owned if owner)
