"""One module a step; `own` and `native` are separate lines."""
