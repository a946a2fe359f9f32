"""The command line: `main.run` is its door; each command module imports what it needs when it runs."""
