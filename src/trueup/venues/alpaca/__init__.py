"""Alpaca."""

from trueup.venues.alpaca.venue import AlpacaVenue

__all__ = ["AlpacaVenue"]
