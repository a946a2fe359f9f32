"""Incidents: from the first mismatch to trading restored, as pure functions."""
