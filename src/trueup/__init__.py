"""trueup keeps a trading bot's books true to the exchange.

    import trueup

    with trueup.Gate("bot1", config="trueup.toml") as gate:
        gate.beat()
        if gate.allows("BTC/USD", intent="open", notional="250", order_ref="A-17"):
            ...

    report = trueup.reconcile(config="trueup.toml", dry_run=True)

Everything but the version is loaded when it is first used, so that importing trueup costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueup.client.gate import Gate, GateRefused
    from trueup.client.reconciling import reconcile
    from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError, UnknownName
    from trueup.core.gate import GateAnswer
    from trueup.core.modes import Mode
    from trueup.service.reconcile_report import ReconcileReport

__version__ = "0.1.0"

__all__ = [
    "CannotKnow",
    "ConfigurationError",
    "Gate",
    "GateAnswer",
    "GateRefused",
    "Mode",
    "ReconcileReport",
    "Refused",
    "TrueupError",
    "UnknownName",
    "__version__",
    "reconcile",
]

_HOMES = {
    "CannotKnow": "trueup.core.errors",
    "ConfigurationError": "trueup.core.errors",
    "Gate": "trueup.client.gate",
    "GateAnswer": "trueup.core.gate",
    "GateRefused": "trueup.client.gate",
    "Mode": "trueup.core.modes",
    "ReconcileReport": "trueup.service.reconcile_report",
    "Refused": "trueup.core.errors",
    "TrueupError": "trueup.core.errors",
    "UnknownName": "trueup.core.errors",
    "reconcile": "trueup.client.reconciling",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trueup' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
