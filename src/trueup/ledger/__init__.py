"""The SQL adapter: the bot's order ledger and trueup's own tables, on SQLite and Postgres through one code."""
