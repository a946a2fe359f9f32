"""The use cases: each one gathers, decides and applies, in that order."""
