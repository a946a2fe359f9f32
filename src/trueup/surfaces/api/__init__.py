"""The HTTP API: FastAPI on the use cases; nothing here is imported before `trueup serve`."""
