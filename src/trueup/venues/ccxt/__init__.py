"""Ccxt."""

from trueup.venues.ccxt.venue import CcxtVenue

__all__ = ["CcxtVenue"]
