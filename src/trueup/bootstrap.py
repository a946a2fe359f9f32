"""Building the App: the only place where adapters are chosen."""

import os
import pwd
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.core.errors import ConfigurationError, nearest
from trueup.core.forward import Forward
from trueup.core.symbols import COMMON_ALIASES, Symbols
from trueup.core.times import iso
from trueup.ledger.attach import OrdersMap
from trueup.ledger.breaks_store import SqlBreaks
from trueup.ledger.figures import SqlFigures
from trueup.ledger.flattening import SqlFlattenings
from trueup.ledger.gate import SqlGate
from trueup.ledger.heartbeats import SqlHeartbeats
from trueup.ledger.idempotency import SqlRequests
from trueup.ledger.incidents import SqlIncidents
from trueup.ledger.integrity.book import SqlIntegrity
from trueup.ledger.integrity.lifecycle import SqlLifecycle
from trueup.ledger.journal import SqlJournal
from trueup.ledger.leases import SqlLeases
from trueup.ledger.modes import SqlModes
from trueup.ledger.outbox import SqlOutbox
from trueup.ledger.runs import SqlRuns
from trueup.ledger.setup import SqlSetup
from trueup.ledger.sign_offs import SqlSignOffs
from trueup.ledger.sql import SqlLedger, open_store
from trueup.ledger.switch_marks import SqlSwitchMarks
from trueup.ledger.tokens import SqlTokens
from trueup.ports import Check, Notifier, Profile, Switch, Venue, VenueMeter
from trueup.service import events
from trueup.service.app import Account, App, BackfillConfig, LivePlace, ReconcileConfig, SafetyConfig, TrialPlace
from trueup.settings import (
    AccountSettings,
    ProfileSettings,
    Settings,
    acting_token,
    alert_urls,
    describe,
    known_secrets,
    load,
    secrets_of,
    switch_secrets_of,
)
from trueup.venues.calls.account import LiveAccount
from trueup.venues.file import FileVenue

if TYPE_CHECKING:
    from trueup.sim.weeks import WeekKind


class SystemClock:
    """The Clock port: this machine's clock, which goes on where it is set back by a little."""

    def __init__(self) -> None:
        self._forward = Forward()

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        return self._forward.time(time.time_ns(), time.monotonic_ns()) // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def new_id(self, prefix: str) -> str:
        """Return an id that was never given before: prefix, UTC time and some random characters."""
        stamp = iso(self.now_ms()).replace("-", "").replace(":", "").replace(".", "")
        return f"{prefix}-{stamp}-{secrets.token_hex(3)}"


def build(config: Path | None = None, environ: Mapping[str, str] | None = None) -> App:
    """Read the settings and build everything that the surfaces need; nothing is connected yet."""
    settings = load(config, environ)
    clock = SystemClock()
    ledger = settings.ledger
    only = settings.profiles[0].id if len(settings.profiles) == 1 else None
    store = open_store(ledger.url, OrdersMap(ledger.orders_table, ledger.columns or None, only), ledger.state_url)
    meter = VenueMeter()
    accounts = {account.name: _account(account, settings, environ, meter, clock) for account in settings.accounts}
    return App(
        backfill=_backfill(settings),
        reconcile=_reconcile(settings),
        safety=SafetyConfig(settings.safety.deadman, settings.safety.policy, settings.safety.flatten),
        accounts=accounts,
        ledger=SqlLedger(store),
        journal=SqlJournal(store, clock),
        modes=SqlModes(store),
        runs=SqlRuns(store, clock),
        breaks=SqlBreaks(store),
        heartbeats=SqlHeartbeats(store),
        gate=SqlGate(store, clock),
        leases=SqlLeases(store, clock),
        setup=SqlSetup(store),
        tokens=SqlTokens(store),
        requests=SqlRequests(store, clock),
        sign_offs=SqlSignOffs(store),
        figures=SqlFigures(store, clock),
        outbox=SqlOutbox(store),
        incidents=SqlIncidents(store),
        flattenings=SqlFlattenings(store),
        switch_marks=SqlSwitchMarks(store),
        integrity=SqlIntegrity(store, clock),
        lifecycle=SqlLifecycle(store, clock),
        clock=clock,
        actor=_actor(),
        configured=tuple(_profile(profile) for profile in settings.profiles),
        settings=tuple(describe(settings)),
        folder=settings.folder,
        embedded=settings.embedded,
        own_files=(*store.files, *([settings.source] if settings.source is not None else [])),
        close=store.close,
        start_logs=lambda level: _start_logs(level, settings, environ),
        acting_token=lambda: acting_token(environ),
        notifier=cache(lambda: _notifier(environ)),
        switches=_switches(settings, environ),
        meter=meter,
        checks=lambda: [Check("settings", True, str(settings.source or "no trueup.toml: defaults and environment"))],
    )


def demo(folder: Path, say: Callable[[str], None], program: str = "trueup") -> int:
    """Lay a made-up week down in a folder and do the main job on it; what it tells goes to `say`, line by line.

    The settings are the folder's own: a ledger that the environment names is never touched. `program` is how a shell
    finds trueup, for the commands that it tells to type.
    """
    from trueup.service.demo import run_demo
    from trueup.sim.week import world

    return run_demo(lambda made: build(made / "trueup.toml", {}), world(), folder, say, program)


def live_demo(kind: str, folder: Path, say: Callable[[str], None], program: str = "trueup") -> int:
    """Do the main job at a simulated exchange that speaks a venue's API, through the venue's real client."""
    from trueup.service.live_demo import run_live_demo

    with _extra("sim"):
        from trueup.sim.trial import make_trial, running_trial
    trial = make_trial(_trial_kind(kind), SystemClock().now_ms)
    with running_trial(trial) as url:
        world = trial.world(url)
        return run_live_demo(lambda made: build(made / "trueup.toml", world.environ), world, folder, say, program)


@contextmanager
def trial(kind: str, folder: Path, port: int, seed: int, faults: Mapping[str, str]) -> Iterator[TrialPlace]:
    """Serve a simulated exchange on the loopback, with a bot's folder beside it, until the caller is done."""
    from trueup.service.demo_folder import in_use
    from trueup.service.live_demo import prepare

    with _extra("sim"):
        from trueup.sim.trial import faults_named, make_trial, running_trial
    try:
        plan = faults_named(faults, seed)
    except ValueError as error:
        raise ConfigurationError(f"--fault: {error}.", "Name it as NAME=RATIO, for example html_200=0.1.") from None
    made = make_trial(_trial_kind(kind), SystemClock().now_ms, seed, plan)
    try:
        with running_trial(made, port) as url:
            world = made.world(url)
            anew = (folder / "trueup.toml").exists()
            prepare(lambda place: build(place / "trueup.toml", world.environ), world, folder)
            with in_use(folder):
                yield TrialPlace(url, folder, world.about, world.environ, anew)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} cannot be served on: {error.strerror}.", "Name another with --port; 0 takes a free one."
        ) from None


@contextmanager
def live_trial(folder: Path, seed: int) -> Iterator[LivePlace]:
    """Run a simulated exchange with a careless bot on it, its folder laid down anew, until the caller is done."""
    from trueup.service.demo_folder import in_use
    from trueup.service.live_demo import prepare

    with _extra("sim"):
        from trueup.sim.live import running_live
    with running_live(folder, SystemClock().now_ms, seed) as made:
        world = made.world
        prepare(lambda place: build(place / "trueup.toml", world.environ), world, folder)
        with in_use(folder):
            app = build(folder / "trueup.toml", world.environ)
            try:
                yield LivePlace(made, app, world.about, made.url)
            finally:
                made.stop()
                app.close()


def _trial_kind(kind: str) -> "WeekKind":
    from trueup.sim.trial import KINDS

    for known in KINDS:
        if known == kind.strip().lower():
            return known
    raise ConfigurationError(f"There is no simulated venue {kind!r}.", nearest(kind, KINDS))


def _backfill(settings: Settings) -> BackfillConfig:
    given = settings.backfill
    return BackfillConfig(given.enabled, given.dry_run, given.require_pause, given.profile_allowlist, given.policy)


def _reconcile(settings: Settings) -> ReconcileConfig:
    given = settings.reconcile
    return ReconcileConfig(
        given.policy, float(given.interval_s), float(given.full_check_s), given.worker_batch, given.contention_alert,
        given.runs_kept_days,
    )  # fmt: skip


def _notifier(environ: Mapping[str, str] | None) -> Notifier | None:
    """Return what carries alerts, None where no target is set."""
    urls = alert_urls(environ)
    if not urls:
        return None
    with _extra("alerts", "Sending alerts"):
        from trueup.notify.targets import AppriseNotifier

        return AppriseNotifier(urls)


def _start_logs(level: str | None, settings: Settings, environ: Mapping[str, str] | None) -> None:
    wanted = settings.logs.level or level
    if wanted is None:
        events.listen_only(None)
        return
    from trueup.surfaces.logs import start_logs

    start_logs(wanted, settings.logs.form, known_secrets(settings, environ))


def _switches(settings: Settings, environ: Mapping[str, str] | None) -> dict[str, Callable[[], Switch]]:
    """Return how the switches are made, by profile; secrets are read when one is needed first."""
    told = {given.id: given for given in settings.profiles if given.switch not in (None, "gate")}
    return {name: cache(partial(_switch, given, environ)) for name, given in told.items()}


def _switch(given: ProfileSettings, environ: Mapping[str, str] | None) -> Switch:
    from trueup.switches.freqtrade import FreqtradeSwitch
    from trueup.switches.http_bot import HttpSwitch

    kind, _, url = (given.switch or "").partition(":")
    secrets = switch_secrets_of(given, environ)
    if kind == "freqtrade":
        return FreqtradeSwitch(url, secrets["user"], secrets["password"])
    return HttpSwitch(given.id, url, secrets["token"])


def _profile(given: ProfileSettings) -> Profile:
    return Profile(
        given.id, given.account, given.user_id, given.managed_symbols, given.allocated_capital, given.enabled
    )


def _account(
    given: AccountSettings, settings: Settings, environ: Mapping[str, str] | None, meter: VenueMeter, clock: SystemClock
) -> Account:
    symbols = Symbols({**COMMON_ALIASES, **given.symbol_aliases})
    kind, _, rest = given.venue.partition(":")

    def live() -> LiveAccount:
        return replace(_live(given, settings, symbols, environ), meter=meter, now_ms=clock.now_ms)

    venues: dict[str, Callable[[], Venue]] = {
        "file": lambda: FileVenue(given.name, settings.folder / rest, symbols),
        "alpaca": lambda: _alpaca(live()),
        "ccxt": lambda: _ccxt(live(), rest.strip().lower()),
    }
    if kind.lower() not in venues or bool(rest.strip()) is (kind.lower() == "alpaca"):
        raise ConfigurationError(
            f"Account {given.name} has the venue {given.venue!r}, which trueup does not know.",
            "Use alpaca, ccxt:EXCHANGE (for example ccxt:binance), or file:PATH for an export of the venue.",
        )
    return Account(given.name, symbols, cache(venues[kind.lower()]))


def _live(
    given: AccountSettings, settings: Settings, symbols: Symbols, environ: Mapping[str, str] | None
) -> LiveAccount:
    return LiveAccount(
        name=given.name,
        symbols=symbols,
        secrets=secrets_of(given, environ),
        base_url=given.base_url,
        sandbox=given.sandbox,
        external_assets=given.external_assets,
        always_read=given.symbols,
        calls_per_minute=float(given.calls_per_minute) if given.calls_per_minute is not None else None,
        timeout_s=float(given.timeout_seconds),
        allow_flatten=given.allow_flatten,
        page_limit=settings.backfill.fetch_limit_per_page,
        max_pages=settings.backfill.max_fetch_pages,
    )


def _alpaca(account: LiveAccount) -> Venue:
    with _extra("alpaca"):
        from trueup.venues.alpaca import AlpacaVenue

        return AlpacaVenue(account)


def _ccxt(account: LiveAccount, exchange: str) -> Venue:
    with _extra("ccxt"):
        from trueup.venues.ccxt import CcxtVenue
    return CcxtVenue(account, exchange)


@contextmanager
def _extra(name: str, what: str | None = None) -> Iterator[None]:
    """Say which extra is missing where an import fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{what or f'The venue {name}'} needs the Python package {error.name}, which is not installed.",
            f"Install it: pip install 'trueup[{name}]'.",
        ) from None


def _actor() -> str:
    """Return who acts, for the audit and for four eyes: the system's user, by the uid of the process.

    No variable of the environment is asked: LOGNAME and USER say whatever their owner likes.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
