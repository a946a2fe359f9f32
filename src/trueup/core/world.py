"""A made-up world: a bot's ledger, its venues' exports, and what should be decided about each of its trades."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an account's export: its path below the folder, its text, and when it was last changed (epoch ms)."""

    name: str
    text: str
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Story:
    """One trade that is worth telling: what happened, and what must be decided about it.

    `outcomes` are decision and reason of each part; where a row is booked the reason is how it was attributed.
    """

    profile_id: str
    trade_id: str
    happened: str
    outcomes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a demonstration sets up.

    `config` is the text of its trueup.toml, `orders` the ledger's rows by the native column names, `stories` all
    trades that are open in the ledger, `revert_profile` the profile whose repair is taken back and put in force again.
    """

    about: str
    config: str
    orders: tuple[Mapping[str, object], ...]
    files: tuple[ExportFile, ...]
    stories: tuple[Story, ...]
    revert_profile: str


@dataclass(frozen=True, slots=True)
class LiveWorld:
    """A made-up world whose venue answers over HTTP; `kind` is the venue whose API it speaks.

    `environ` holds the variables with the venue's key and secret, `missing` the trades whose exit the ledger lacks and
    `still_open` those that are open at the venue too.
    """

    about: str
    config: str
    orders: tuple[Mapping[str, object], ...]
    environ: Mapping[str, str]
    missing: tuple[str, ...]
    still_open: tuple[str, ...]
    files: tuple[ExportFile, ...] = ()
    kind: str = "alpaca"


@dataclass(frozen=True, slots=True)
class Slip:
    """One write into a ledger that a careless bot lost, doubled or delayed: `at_ms` is when the order executed.

    `late_ms` is how late a delayed write came, None as long as it has not come.
    """

    kind: str
    order_id: str
    trade_id: str
    what: str
    at_ms: int
    late_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """How a ledger stands to what really happened: how many orders and symbols there are, and each difference."""

    orders: int
    symbols: int
    differences: tuple[str, ...] = ()
