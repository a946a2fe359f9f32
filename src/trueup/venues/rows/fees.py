"""Fees of an order or fill row: a number, ccxt's {cost, currency}, or Alpaca's commission."""

from collections.abc import Mapping
from decimal import Decimal

from trueup.venues.rows.fields import Row, first_not_blank, number, shown, text

FEE_ASSETS = ("fee_asset", "feeAsset")


def fee_of(row: Row) -> tuple[Decimal | None, str | None]:
    """Return the fee and its asset, positive where it was paid; ValueError where it cannot be read.

    Fees in several parts (ccxt's `fees` with two entries or more) are none, since their assets may differ.
    """
    fee, asset = _one_fee("fee", row.get("fee"))
    if fee is None:
        fee, asset = _one_fee("fees", _only_entry(row.get("fees")))
    if fee is None:
        fee, asset = _one_fee("commission", row.get("commission"))
    return (fee, asset or text(row, FEE_ASSETS)) if fee is not None else (None, None)


def _one_fee(name: str, value: object) -> tuple[Decimal | None, str | None]:
    if isinstance(value, Mapping):
        cost = first_not_blank(value, ("cost",))
        return (number(f"{name}.cost", cost[1]), text(value, ("currency",))) if cost else (None, None)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, None
    return number(name, value), None


def _only_entry(fees: object) -> object:
    if fees is None:
        return None
    if not isinstance(fees, list):
        raise ValueError(f"fees is {shown(fees)}, not a list")
    return fees[0] if len(fees) == 1 else None
