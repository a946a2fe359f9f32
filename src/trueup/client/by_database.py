"""Asking the database itself, with the settings of a trueup.toml."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from threading import Lock

from trueup.core.gate import GateAnswer, Intent
from trueup.service.app import App


class DatabaseAsker:
    """Answers from the database that trueup.toml names; nothing is opened before the first question."""

    def __init__(self, profile: str, config: Path | None, environ: Mapping[str, str] | None) -> None:
        self._profile, self._config, self._environ = profile, config, environ
        self._lock = Lock()
        self._app: App | None = None

    def ask(self, symbol: str, intent: Intent, notional: Decimal | None, order_ref: str | None) -> GateAnswer:
        """Answer whether an order may be sent."""
        from trueup.service.gate import ask

        return ask(self._built(), self._profile, symbol, intent, notional, order_ref)

    def beat(self, *, healthy: bool) -> None:
        """Record that the bot is alive."""
        from trueup.service.gate import beat_bot

        beat_bot(self._built(), self._profile, healthy=healthy)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._app is not None:
                self._app.close()
                self._app = None

    def _built(self) -> App:
        with self._lock:
            if self._app is None:
                from trueup.bootstrap import build

                app = build(self._config, self._environ)
                app.require_ledger()
                self._app = app
            return self._app
