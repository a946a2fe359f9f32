"""What `import trueup` gives the author of a bot: the gate, by database or HTTP, and a reconciliation on demand."""
