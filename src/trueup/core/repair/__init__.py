"""The EXIT backfill's rules: open slices, evidence, attribution, decisions, rows and the plan."""
