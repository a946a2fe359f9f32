"""A flattening rehearsed: the same reading and the same decision, stopped before the venue is asked to do anything."""

from dataclasses import dataclass

from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError
from trueup.core.flatten.machine import planned
from trueup.core.flatten.targets import Targets
from trueup.core.modes import read_scope
from trueup.service.app import App
from trueup.service.flatten_facts import rehearsed
from trueup.service.flatten_jobs import share_of
from trueup.service.modes import accounts_within, require_known


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a flattening of one account would cancel and close now, and what stands in its way."""

    account: str
    scope: str
    targets: Targets
    allowed: bool

    @property
    def in_the_way(self) -> tuple[str, ...]:
        """Return what stands in the way, each in a sentence."""
        targets = self.targets
        ways = [] if self.allowed else [f"account {self.account} does not allow it: set allow_flatten = true"]
        ways += [f"the account cannot be read in full: {targets.why}"] if targets.why else []
        ways += [f"unknown: {name}: {why}" for name, why in sorted((targets.unknown or {}).items())]
        return (*ways, *targets.left)

    def as_json(self) -> dict[str, object]:
        """Return it for printing."""
        orders, lots = planned(self.targets)
        return {
            "account": self.account, "scope": self.scope, "allowed": self.allowed,
            "cancels": [
                {
                    "symbol": order.symbol, "order_id": order.order_id, "client_order_id": order.client_order_id,
                    "side": order.side.value,
                }
                for order in orders
            ],
            "closes": [
                {"symbol": lot.symbol, "side": lot.side.value, "qty": plain(lot.qty), "held": plain(lot.held)}
                for lot in lots
            ],
            "in_the_way": list(self.in_the_way), "of_others": list(self.targets.apart),
        }  # fmt: skip


def rehearse(app: App, scope: str) -> list[Rehearsal]:
    """Return what FLATTEN in a scope would do now, account by account; nothing is sent and nothing is written."""
    where = read_scope(scope)
    require_known(app, where)
    found = []
    for account in accounts_within(app, where):
        try:
            allowed = app.accounts[account].venue().actions is not None
        except ConfigurationError as error:
            found.append(Rehearsal(account, where, Targets(why=error.what), allowed=False))
            continue
        found.append(Rehearsal(account, where, rehearsed(app, account, share_of(app, account, where)), allowed))
    return found
