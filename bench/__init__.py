"""Measurements of what must be fast: `make bench` prints them, as ratios against the bare engine in the same run."""
