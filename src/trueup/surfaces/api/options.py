"""How the API is served, as values that `trueup serve` decides."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trueup.surfaces.api.reconciling import Reconciling, ServiceReconciling

Metrics = Callable[[], tuple[bytes, str]]
"""Gives the metrics as they are served, and their content type."""


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """What differs from one server to another.

    `metrics_open` serves /metrics without a token (on the loopback alone). `hosts` are the host names that are
    answered, without ports; None is every one. `behind_proxy` takes the client's address from what the proxy adds last
    to X-Forwarded-For. `secure` says that browsers see https. `own_doors` are path prefixes that ask who is there
    themselves, as the console does with its sessions, which `session_clock` counts in seconds. `stale_after_ms` is how
    old a profile's newest run may be before the loop counts as unhealthy, None what DEADMAN_TIMEOUT_SECONDS says.
    Runs that are asked for wait for one of
    `background_threads`; when `waiting` of them do, the next is refused.
    """

    reconciling: Reconciling = field(default_factory=ServiceReconciling)
    metrics: Metrics | None = None
    metrics_open: bool = False
    hosts: frozenset[str] | None = None
    behind_proxy: bool = False
    secure: bool = False
    own_doors: tuple[str, ...] = ()
    max_body_bytes: int = 65_536
    body_seconds: float = 10.0
    failures_a_minute: int = 10
    request_threads: int = 12
    background_threads: int = 3
    waiting: int = 100
    stale_after_ms: int | None = None
    session_clock: Callable[[], float] = time.monotonic
