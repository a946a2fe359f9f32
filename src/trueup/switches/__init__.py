"""Switches: how bots of several kinds are stopped and asked. A bot that asks trueup's own gate needs none."""
