"""What the use cases need from the outside world, as protocols; adapters implement them."""

from trueup.ports.books import (
    Booking,
    ChangedTrades,
    Ledger,
    Profile,
    RepairBatch,
    RepairResult,
    UndoRequest,
    UndoResult,
)
from trueup.ports.control import Clock, Lease, Leases, ModeChange, Modes
from trueup.ports.figures import Figures, VenueMeter
from trueup.ports.journal import BatchSummary, Journal, UnendedRun
from trueup.ports.setup import InitReport, Setup
from trueup.ports.venues import EVERYTHING, ActionReport, Check, OrderAnswer, ReadScope, Venue, VenueActions

__all__ = [
    "EVERYTHING",
    "ActionReport",
    "BatchSummary",
    "Booking",
    "ChangedTrades",
    "Check",
    "Clock",
    "Figures",
    "InitReport",
    "Journal",
    "Lease",
    "Leases",
    "Ledger",
    "ModeChange",
    "Modes",
    "OrderAnswer",
    "Profile",
    "ReadScope",
    "RepairBatch",
    "RepairResult",
    "Setup",
    "UndoRequest",
    "UndoResult",
    "UnendedRun",
    "Venue",
    "VenueActions",
    "VenueMeter",
]
