"""The reconciliation loop's rules: orders compared, breaks that persist, heals, parity, the watchdog, the tie-out."""
