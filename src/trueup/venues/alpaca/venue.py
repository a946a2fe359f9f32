"""The Alpaca venue."""

from collections.abc import Mapping

from trueup.core.snapshot import Snapshot
from trueup.ports import EVERYTHING, Check, OrderAnswer, ReadScope, VenueActions
from trueup.venues.calls.account import LiveAccount


class AlpacaVenue:
    """One account at Alpaca."""

    def __init__(self, account: LiveAccount) -> None:
        self.account = account

    @property
    def actions(self) -> VenueActions | None:
        raise NotImplementedError

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        raise NotImplementedError

    def inspect(self) -> list[Check]:
        raise NotImplementedError

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        raise NotImplementedError

    def find_order(self, symbol: str, order_id: str | None = None, client_order_id: str | None = None) -> OrderAnswer:
        raise NotImplementedError
