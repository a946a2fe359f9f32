"""A deterministic exchange: its clock is the caller's, its numbers are exact, and it keeps the truth."""

from trueup.sim.exchange.accounts import Account, Position
from trueup.sim.exchange.engine import Exchange
from trueup.sim.exchange.markets import FeeIn, Kind, Market
from trueup.sim.exchange.records import (
    Change,
    Event,
    EventKind,
    Fill,
    Leg,
    Order,
    OrderRequest,
    Origin,
    Side,
    Status,
)
from trueup.sim.exchange.refusals import NoSuchOrder, NotAllowed

__all__ = [
    "Account", "Change", "Event", "EventKind", "Exchange", "FeeIn", "Fill", "Kind", "Leg", "Market", "NoSuchOrder",
    "NotAllowed", "Order", "OrderRequest", "Origin", "Position", "Side", "Status",
]  # fmt: skip
