"""Lifecycle integrity, decided: the rules, the phases, and the kinds of what is wrong."""
