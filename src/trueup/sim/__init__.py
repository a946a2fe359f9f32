"""Made-up markets and bots, for demonstrations, drills and tests: the same data each time, no clock, no chance."""
