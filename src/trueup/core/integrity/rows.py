"""The rows of positions and trade history, read strictly: one that cannot be read says why and is never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import read_quantity
from trueup.core.integrity.kinds import RowRef
from trueup.core.orders import LedgerOrder, Side, read_side, text_or_none

ORDERS, POSITIONS, HISTORY = "orders", "positions", "trade_history"


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A row of trade history: base quantities, None where it does not say; `defect` is why it cannot be read.

    `closed` says that it has a time of closing. `trade_id` is as it is stored.
    """

    id: str
    profile_id: str | None
    trade_id: str
    symbol: str | None
    side: Side | None
    entry_qty: Decimal | None
    exit_qty: Decimal | None
    closed: bool
    defect: str = ""

    @property
    def is_empty(self) -> bool:
        """Say whether the row tells of nothing: so is it left once all that a trade executed was taken back."""
        return self.entry_qty == 0 and self.exit_qty == 0 and not self.closed

    @property
    def ref(self) -> RowRef:
        """Return the row's table and id."""
        return RowRef(HISTORY, self.id)


def read_history(raw: Mapping[str, object]) -> HistoryRow:
    """Read a raw row of trade history by the native column names; it never raises."""
    wrong: list[str] = []
    entry_qty, exit_qty = (_number(name, raw.get(name), wrong) for name in ("entry_qty", "exit_qty"))
    side: Side | None = None
    if text_or_none(raw.get("side")) is not None:
        try:
            side = read_side(raw["side"])
        except ValueError as error:
            wrong.append(str(error))
    return HistoryRow(
        id=str(raw.get("id")),
        profile_id=text_or_none(raw.get("profile_id")),
        trade_id=str(raw.get("trade_id")),
        symbol=text_or_none(raw.get("symbol")),
        side=side,
        entry_qty=entry_qty,
        exit_qty=exit_qty,
        closed=text_or_none(raw.get("closed_at")) is not None,
        defect="; ".join(wrong),
    )


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A row of positions: base quantity; `defect` is why it cannot be read."""

    profile_id: str
    symbol: str
    side: Side
    qty: Decimal
    ref: RowRef
    defect: str = ""


def read_position(raw: Mapping[str, object]) -> PositionRow:
    """Read a raw row of positions by the native column names; it never raises."""
    wrong: list[str] = []
    names = [str(raw.get(name)) for name in ("profile_id", "symbol", "side")]
    try:
        side = read_side(raw.get("side"))
    except ValueError as error:
        wrong.append(str(error))
        side = Side.BUY
    qty = _number("qty", raw.get("qty"), wrong)
    if qty is None and not wrong:
        wrong.append("qty is empty")
    return PositionRow(
        names[0], names[1], side, qty or Decimal(0), RowRef(POSITIONS, ":".join(names)), "; ".join(wrong)
    )


def ref_of(row: LedgerOrder) -> RowRef:
    """Return the table and id of a row of orders."""
    return RowRef(ORDERS, row.order_id)


def _number(name: str, value: object, wrong: list[str]) -> Decimal | None:
    if value is None or not str(value).strip():
        return None
    try:
        return read_quantity(value)
    except ValueError as error:
        wrong.append(f"{name}: {error}")
        return None
