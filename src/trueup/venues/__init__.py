"""Venues: how what an exchange or broker claims becomes a snapshot."""
