"""The file venue: any venue reconciled offline, from an export as people have it."""

from trueup.venues.file.venue import FileVenue

__all__ = ["FileVenue"]
