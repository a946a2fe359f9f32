"""Documents in the file format: what an export holds, and what a live venue's answers are put together as."""
