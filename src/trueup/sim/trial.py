"""An exchange to try trueup on, on this machine: a bot's week at a venue that answers over HTTP, and the bot's ledger.

The real clients talk to it as they would to the venue; its clock is the caller's, and it moves on with each request.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trueup.core.world import LiveWorld
from trueup.sim.faults import FaultKind, FaultPlan
from trueup.sim.weeks import Week, WeekKind, a_week

KINDS: tuple[WeekKind, ...] = ("alpaca", "binance", "binanceusdm")
KEY, SECRET = "TRUEUP_SIM_KEY", "TRUEUP_SIM_SECRET"
"""The environment variables that hold the trial's key and secret."""

_VENUES: Mapping[WeekKind, str] = {"alpaca": "alpaca", "binance": "ccxt:binance", "binanceusdm": "ccxt:binanceusdm"}
_ABOUT: Mapping[WeekKind, str] = {
    "alpaca": "A simulated exchange that speaks Alpaca's API, asked through alpaca-py.",
    "binance": "A simulated exchange that speaks Binance's spot API, asked through ccxt.",
    "binanceusdm": "A simulated exchange that speaks Binance's USD-M futures API, asked through ccxt.",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: the week behind it, the ASGI application that answers, and the faults between them."""

    week: Week
    app: Any
    faults: FaultPlan

    def world(self, url: str) -> LiveWorld:
        """Return what a folder needs to try trueup on it, where it answers at `url`."""
        week = self.week
        return LiveWorld(
            about=_ABOUT[week.kind],
            config=_config(week, url),
            orders=tuple(week.rows),
            environ={KEY: week.key, SECRET: week.secret},
            missing=week.missing,
            still_open=week.still_open,
            kind=week.kind,
        )


def make_trial(kind: WeekKind, now_ms: Callable[[], int], seed: int = 0, faults: FaultPlan | None = None) -> Trial:
    """Return a trial whose week ends now (`now_ms` gives epoch milliseconds); faults strike from the first request."""
    week = a_week(kind, seed, now_ms())
    plan = faults or FaultPlan()

    def move_on() -> None:
        week.exchange.advance_to(now_ms())

    if kind == "alpaca":
        from trueup.sim.wire.alpaca import alpaca_app

        app = alpaca_app(week.exchange, before=move_on)
    else:
        from trueup.sim.wire.binance import binance_app

        app = binance_app(week.exchange, before=move_on)
    return Trial(week, plan.wrap(app), plan)


@contextmanager
def running_trial(trial: Trial, port: int = 0) -> Iterator[str]:
    """Answer on the loopback, and give the address; port 0 takes a free one."""
    from trueup.sim.server import running

    with running(trial.app, port) as url:
        yield url


def faults_named(names: Mapping[str, str], seed: int) -> FaultPlan:
    """Return a plan of faults by name and ratio of requests; ValueError names one that does not exist."""
    known = {kind.value for kind in FaultKind}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no fault {name!r}; known: {', '.join(sorted(known))}")
    return FaultPlan(seed=seed, rates=dict(names))


def _config(week: Week, url: str) -> str:
    profiles = "\n".join(
        f'[[profiles]]\nid = "{name}"\naccount = "sim"\nuser_id = "demo"\nallocated_capital = 100000\n'
        for name in week.profiles
    )
    return f"""\
# A bot's week at a simulated exchange, which answers while `trueup demo` or `trueup sim serve` runs.

[ledger]
url = "sqlite:///ledger.db"

[[accounts]]
name = "sim"
venue = "{_VENUES[week.kind]}"
base_url = "{url}"
key_env = "{KEY}"
secret_env = "{SECRET}"
calls_per_minute = 60000               # the simulated exchange has no limit of its own

{profiles}
[backfill]
enable_recon_exit_backfill = true
recon_exit_backfill_flatness = "explained"
recon_exit_backfill_lookback_hours = 168
trueup_order_tag_prefix = "{week.prefix}"
"""
