"""Safe modes: putting one in force, and saying which is."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.core.flatten.record import Entry, What
from trueup.core.modes import GLOBAL, Mode, path_of, read_mode, read_scope
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import ModeChange, Profile
from trueup.service import events
from trueup.service.app import App
from trueup.service.posture import stand
from trueup.service.switching import Switched, enforce_scope


@dataclass(frozen=True, slots=True)
class ModeView:
    """The modes in force by scope, and what they come to for each profile: mode, and the scope that demands it.

    Where the dead-man holds, a profile's mode is his, and the scope is that of the heartbeat; `dead` says why by
    profile, in the gate's own words.
    """

    scopes: dict[str, Mode]
    profiles: dict[str, tuple[Mode, str]]
    history: tuple[ModeChange, ...]
    flattening: tuple[Entry, ...] = ()
    dead: Mapping[str, str] = field(default_factory=dict)

    @property
    def tightened(self) -> dict[str, Mode]:
        """Return the scopes whose mode is not NORMAL, symbols too."""
        return {scope: mode for scope, mode in self.scopes.items() if mode is not Mode.NORMAL}

    def _missed(self, profile: str) -> dict[str, str]:
        return {"reason": self.dead[profile]} if profile in self.dead else {}

    def as_json(self) -> dict[str, object]:
        """Return the view for printing."""
        return {
            "scopes": {scope: mode.name for scope, mode in sorted(self.scopes.items())},
            "profiles": {
                profile: {
                    "mode": mode.name,
                    "from": scope,
                    "status": "PAUSED" if mode.paused else "RUNNING",
                    **self._missed(profile),
                }
                for profile, (mode, scope) in sorted(self.profiles.items())
            },
            "history": [change_json(change) for change in self.history],
            "flattening": [flatten_json(entry) for entry in self.flattening],
        }


def change_json(change: ModeChange) -> dict[str, object]:
    """Return one change of a mode for printing."""
    return {
        "scope": change.scope, "mode": change.mode.name, "previous_mode": change.previous.name,
        "source": change.source, "actor": change.actor, "reason": change.reason, "at": change.at,
    }  # fmt: skip


def flatten_json(entry: Entry) -> dict[str, object]:
    """Return how far a flattening is, by the newest entry of its record, for printing."""
    states = {What.FLAT: "flat", What.GAVE_UP: "gave_up"}
    return {
        "account": entry.account, "scope": entry.scope, "state": states.get(entry.what, "going_on"),
        "round": entry.round, "newest": entry.what.value, "detail": entry.detail, "at": iso(entry.at_ms),
    }  # fmt: skip


def set_mode(
    app: App, mode: str, scope: str, reason: str, told: Callable[[Switched], None] = lambda _: None
) -> ModeChange:
    """Put a mode in force for a scope, with who, when and why; then tell the bots that it binds, each to `told`."""
    wanted, where = read_mode(mode), read_scope(scope)
    if not reason.strip():
        raise ConfigurationError("A reason is needed.", "Say why with --reason TEXT; it is kept in the history.")
    require_known(app, where)
    if wanted is Mode.FLATTEN:
        require_flatten(app, where)
    change = ModeChange(where, wanted, Mode.NORMAL, "operator", app.actor, reason.strip(), iso(app.clock.now_ms()))
    done = app.modes.set(change, within=path_to(app, where))
    events.log(
        "mode_changed", scope=done.scope, mode=done.mode.name, previous=done.previous.name, source=done.source,
        actor=done.actor,
    )  # fmt: skip
    for switched in enforce_scope(app, done.scope):
        told(switched)
    return done


def accounts_within(app: App, scope: str) -> list[str]:
    """Return the accounts that a scope is about: all that a profile lives on, for the global one."""
    kind, _, rest = scope.partition(":")
    if kind == "account":
        return [rest]
    found = set()
    for profile in app.ledger.profiles():
        mine = kind == "profile" and profile.profile_id == rest
        mine = mine or (kind == "symbol" and rest.startswith(f"{profile.profile_id}:"))
        if mine or kind == GLOBAL:
            with suppress(ConfigurationError):
                found.add(app.account_of(profile).name)
    return sorted(found)


def require_flatten(app: App, scope: str) -> None:
    """Refuse to flatten where an account does not allow it: nothing could be sent."""
    closed = [name for name in accounts_within(app, scope) if app.accounts[name].venue().actions is None]
    if closed:
        names = ", ".join(closed)
        raise Refused(
            f"Flattening is not allowed for {'the account' if len(closed) == 1 else 'the accounts'} {names}.",
            "Set allow_flatten = true in its [[accounts]], with keys that may trade; or set HALT, which sends nothing.",
        )


def require_known(app: App, scope: str) -> None:
    """Refuse a scope that binds nobody: a pause with a misspelt name would pause nothing."""
    kind, _, rest = scope.partition(":")
    profiles = {profile.profile_id for profile in app.ledger.profiles()} if kind in ("profile", "symbol") else set()
    known = set(app.accounts) if kind == "account" else profiles
    missing = kind in ("account", "profile") and rest not in known
    if kind == "symbol":
        missing = not any(rest.startswith(f"{profile}:") for profile in known)
    if missing:
        raise UnknownName(f"{scope!r} binds nobody.", f"Known: {', '.join(sorted(known)) or 'none'}.")


def unknown_symbol(app: App, scope: str) -> str | None:
    """Say where a scope's symbol is one that nothing knows: neither an open trade of the profile nor its settings."""
    kind, _, rest = scope.partition(":")
    owners = [p for p in app.ledger.profiles() if kind == "symbol" and rest.startswith(f"{p.profile_id}:")]
    if not owners:
        return None
    profile = max(owners, key=lambda each: len(each.profile_id))
    try:
        symbols = app.account_of(profile).symbols
    except ConfigurationError:
        symbols = Symbols()
    symbol = rest[len(profile.profile_id) + 1 :]
    traded = {row.symbol for row in app.ledger.open_trade_rows([profile.profile_id]) if row.symbol}
    known = {symbols.token(name) for name in (*traded, *(profile.managed_symbols or ()))}
    if symbols.token(symbol) in known:
        return None
    owner = profile.profile_id
    return f"no open trade and no managed symbol of {owner} is called {symbol}; the mode is set all the same"


def show_modes(app: App, history: int = 10) -> ModeView:
    """Return the modes in force, what they come to with the dead-man, and their newest changes."""
    found = stand(app)
    held = {name: found.of(f"profile:{name}") for name in found.profiles}
    profiles = {name: (one.mode, one.because_of) for name, one in held.items()}
    return ModeView(
        dict(found.scopes),
        profiles,
        tuple(app.modes.history(history)),
        _flattening(app, dict(found.scopes)),
        {name: one.reason for name, one in held.items() if one.dead},
    )


def _flattening(app: App, current: dict[str, Mode]) -> tuple[Entry, ...]:
    """Return the newest word about each flattening whose scope, or account, is in FLATTEN or in HALT."""
    strict = {scope for scope, mode in current.items() if mode >= Mode.FLATTEN}
    return tuple(entry for entry in app.flattenings.newest() if {entry.scope, f"account:{entry.account}"} & strict)


def profile_path(app: App, profile: Profile) -> tuple[str, ...]:
    """Return the scopes that bind a profile; one whose account is not known is bound by the others."""
    try:
        account = app.account_of(profile).name
    except ConfigurationError:
        account = profile.account or ""
    return path_of(account, profile.profile_id)


def path_to(app: App, scope: str) -> tuple[str, ...]:
    """Return the scopes that bind a scope, widest first, itself included."""
    kind, _, rest = scope.partition(":")
    if kind == GLOBAL:
        return (GLOBAL,)
    if kind == "account":
        return (GLOBAL, scope)
    profiles = {profile.profile_id: profile for profile in app.ledger.profiles()}
    if kind == "profile":
        return profile_path(app, profiles[rest])
    owners = [name for name in profiles if rest.startswith(f"{name}:")]
    return (*profile_path(app, profiles[max(owners, key=len)]), scope)
