"""Calls to a live venue: what an error means, how often one asks, when one waits, and when one stops asking."""
