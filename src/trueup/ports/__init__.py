"""What the use cases need from the outside world, as protocols; adapters implement them."""

from trueup.ports.alerts import Message, Notifier, Outbox
from trueup.ports.books import (
    Booking,
    ChangedTrades,
    Ledger,
    Profile,
    Realized,
    RepairBatch,
    RepairResult,
    UndoRequest,
    UndoResult,
)
from trueup.ports.control import Clock, GateBook, Heartbeats, Lease, Leases, LeaseState, ModeChange, Modes, Renewal
from trueup.ports.figures import Figures, VenueMeter
from trueup.ports.flattening import FlattenBook, NoFlattenBook
from trueup.ports.heals import HealBatch, HealResult
from trueup.ports.incidents import Incidents, Kept, Line
from trueup.ports.integrity import Baseline, Breaking, Doing, Done, IntegrityBook, Step
from trueup.ports.journal import BatchSummary, Journal, UnendedRun
from trueup.ports.lifecycle import LifecycleBook
from trueup.ports.reconciling import Breaks, RunEnd, Runs, RunStart
from trueup.ports.setup import InitReport, Setup
from trueup.ports.sign_offs import SignOff, SignOffs
from trueup.ports.switches import Switch, SwitchMarks, SwitchReport, SwitchState
from trueup.ports.tokens import Claim, ClaimState, RequestKey, Requests, Token, Tokens
from trueup.ports.venues import (
    EVERYTHING,
    ActionReport,
    Check,
    ClosingAnswer,
    ClosingOrder,
    OnUpdate,
    OrderAnswer,
    ReadScope,
    Venue,
    VenueActions,
    VenueStream,
)

__all__ = [
    "EVERYTHING",
    "ActionReport",
    "Baseline",
    "BatchSummary",
    "Booking",
    "Breaking",
    "Breaks",
    "ChangedTrades",
    "Check",
    "Claim",
    "ClaimState",
    "Clock",
    "ClosingAnswer",
    "ClosingOrder",
    "Doing",
    "Done",
    "Figures",
    "FlattenBook",
    "GateBook",
    "HealBatch",
    "HealResult",
    "Heartbeats",
    "Incidents",
    "InitReport",
    "IntegrityBook",
    "Journal",
    "Kept",
    "Lease",
    "LeaseState",
    "Leases",
    "Ledger",
    "LifecycleBook",
    "Line",
    "Message",
    "ModeChange",
    "Modes",
    "NoFlattenBook",
    "Notifier",
    "OnUpdate",
    "OrderAnswer",
    "Outbox",
    "Profile",
    "ReadScope",
    "Realized",
    "Renewal",
    "RepairBatch",
    "RepairResult",
    "RequestKey",
    "Requests",
    "RunEnd",
    "RunStart",
    "Runs",
    "Setup",
    "SignOff",
    "SignOffs",
    "Step",
    "Switch",
    "SwitchMarks",
    "SwitchReport",
    "SwitchState",
    "Token",
    "Tokens",
    "UndoRequest",
    "UndoResult",
    "UnendedRun",
    "Venue",
    "VenueActions",
    "VenueMeter",
    "VenueStream",
]
