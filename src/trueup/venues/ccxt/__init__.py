"""ccxt: any exchange that the library ccxt knows, read with its own checks on every answer."""

from trueup.venues.ccxt.venue import CcxtVenue

__all__ = ["CcxtVenue"]
