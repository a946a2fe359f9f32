"""The rules: pure functions from values to values, without I/O, clock, randomness or logging."""
