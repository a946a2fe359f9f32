"""What a live adapter is told of its account."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.errors import ConfigurationError
from trueup.core.symbols import Symbols
from trueup.ports.figures import VenueMeter


def system_clock_ms() -> int:
    """Return this machine's time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class LiveAccount:
    """One set of credentials and how its venue is asked.

    `secrets` by what they are: key, secret, password, wallet. `external_assets` are balances that are not the bot's.
    A feed is read in at most `max_pages` pages (per symbol, where a venue answers per symbol) of at most `page_limit`
    rows, and never more rows than the venue gives at once.
    """

    name: str
    symbols: Symbols = field(default_factory=Symbols)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_url: str | None = None
    sandbox: bool = False
    external_assets: Mapping[str, Decimal] = field(default_factory=dict)
    always_read: tuple[str, ...] = ()
    calls_per_minute: float | None = None
    timeout_s: float = 10
    allow_flatten: bool = False
    page_limit: int = 500
    max_pages: int = 8
    now_ms: Callable[[], int] = system_clock_ms
    sleep: Callable[[float], None] = time.sleep
    meter: VenueMeter = field(default_factory=VenueMeter, repr=False, compare=False)

    def count(self, failure: str | None) -> None:
        """Count a call to the venue, or with its kind a call that gave no answer to rely on."""
        if failure is None:
            self.meter.called(self.name)
        else:
            self.meter.failed(self.name, failure)

    def secret(self, name: str) -> str:
        """Return one secret; ConfigurationError says which setting names it."""
        if name not in self.secrets:
            raise ConfigurationError(
                f"Account {self.name} has no {name}_env.",
                f'Add {name}_env = "NAME_OF_A_VARIABLE" to its [[accounts]], and set that environment variable.',
            )
        return self.secrets[name]
